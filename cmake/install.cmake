# make install: the program, the core as a library, its headers, pkg-config
include(GNUInstallDirs)

add_library(guidealign_shared SHARED $<TARGET_OBJECTS:core>)
set_target_properties(guidealign_shared PROPERTIES OUTPUT_NAME guidealign
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
target_link_libraries(guidealign_shared PRIVATE PkgConfig::UTF8PROC
    Threads::Threads m)
# Only what the public headers declare leaves the library.
target_link_options(guidealign_shared PRIVATE
    -Wl,--version-script=${CMAKE_SOURCE_DIR}/cmake/exports.map -Wl,--no-undefined)
set_target_properties(guidealign_shared PROPERTIES LINK_DEPENDS
    ${CMAKE_SOURCE_DIR}/cmake/exports.map)

# wherever it is installed to, or moved: relative to the file itself
file(RELATIVE_PATH GA_PC_PREFIX "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig"
    "${CMAKE_INSTALL_PREFIX}")
configure_file(cmake/guidealign.pc.in guidealign.pc @ONLY)
install(TARGETS guidealign RUNTIME)
install(TARGETS guidealign_static guidealign_shared ARCHIVE LIBRARY)
install(DIRECTORY include/guidealign TYPE INCLUDE)
install(FILES ${CMAKE_BINARY_DIR}/guidealign.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE ${CMAKE_SOURCE_DIR}/README.md
    TYPE DOC)
# what `make build` and `make setup` made, where it is there
install(FILES ${CMAKE_BINARY_DIR}/starter.gapack
    DESTINATION ${CMAKE_INSTALL_DATADIR}/guidealign OPTIONAL)
install(DIRECTORY ${CMAKE_BINARY_DIR}/retriever
    DESTINATION ${CMAKE_INSTALL_DATADIR}/guidealign OPTIONAL)
install(CODE "
    set(paths \"${CMAKE_BINARY_DIR}/paths.json\")
    set(share \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/guidealign\")
    if(EXISTS \"\${paths}\")
        file(READ \"\${paths}\" json)
        string(JSON json SET \"\${json}\" starter_pack \"\\\"\${share}/starter.gapack\\\"\")
        if(EXISTS \"\$ENV{DESTDIR}\${share}/retriever\")
            string(JSON json SET \"\${json}\" retriever \"\\\"\${share}/retriever\\\"\")
        endif()
        file(WRITE \"\$ENV{DESTDIR}\${share}/paths.json\" \"\${json}\\n\")
    endif()")
