# make install: the program, the core as a library, its headers, pkg-config
