// Stands in for tools/mtmd, llama.cpp's image and audio input, which is a seventh of the build
// and which guidealign never uses.  The server asks for a context only when it is given --mmproj, and
// gets none.  Without a context it calls the NEVERs never; should that change, they end the process.
#include "mtmd-helper.h"
#include "mtmd.h"

#include <cstdio>
#include <cstdlib>

static const char * without = "this llama-server was built without image and audio input\n";

mtmd_context_params mtmd_context_params_default(void) { return {}; }
mtmd_helper_init_opt mtmd_helper_init_opt_default(void) { return {}; }
void mtmd_helper_log_set(ggml_log_callback, void *) {}
bool mtmd_helper_support_video(const mtmd_context *) { return false; }
bool mtmd_support_vision(const mtmd_context *) { return false; }
bool mtmd_support_audio(const mtmd_context *) { return false; }
mtmd_caps mtmd_get_cap_from_file(const char *) { return {}; }
mtmd_input_chunk * mtmd_input_chunk_load(const char *, size_t) { return nullptr; }

// Nothing is ever made, so these get a null pointer
void mtmd_free(mtmd_context *) {}
void mtmd_bitmap_free(mtmd_bitmap *) {}
void mtmd_helper_video_free(mtmd_helper_video *) {}
void mtmd_batch_free(mtmd_batch *) {}
void mtmd_input_chunks_free(mtmd_input_chunks *) {}
void mtmd_input_chunk_free(mtmd_input_chunk *) {}

mtmd_context * mtmd_init_from_file(const char *, const llama_model *, const mtmd_context_params) {
    fputs(without, stderr);
    return nullptr;
}

std::map<ggml_backend_dev_t, size_t> mtmd_get_memory_usage(const char *, mtmd_context_params) { return {}; }

#define NEVER(type, name, ...) type name(__VA_ARGS__) { fputs(without, stderr); abort(); }
NEVER(mtmd_helper_bitmap_wrapper, mtmd_helper_bitmap_init_from_buf, const mtmd_context *, const unsigned char *, size_t,
      bool, mtmd_helper_init_opt)
NEVER(int32_t, mtmd_helper_decode_image_chunk, mtmd_context *, llama_context *, const mtmd_input_chunk *, float *, llama_pos,
      llama_seq_id, int32_t, llama_pos *, mtmd_helper_post_decode_callback, void *)
NEVER(int32_t, mtmd_tokenize, const mtmd_context *, mtmd_input_chunks *, const mtmd_input_text *,
      const mtmd_bitmap * const *, size_t)
NEVER(mtmd_batch *, mtmd_batch_init, mtmd_context *)
NEVER(int32_t, mtmd_batch_add_chunk, mtmd_batch *, const mtmd_input_chunk *)
NEVER(int32_t, mtmd_batch_encode, mtmd_batch *)
NEVER(float *, mtmd_batch_get_output_embd, mtmd_batch *, const mtmd_input_chunk *)
NEVER(mtmd_input_chunks *, mtmd_input_chunks_init, void)
NEVER(size_t, mtmd_input_chunks_size, const mtmd_input_chunks *)
NEVER(const mtmd_input_chunk *, mtmd_input_chunks_get, const mtmd_input_chunks *, size_t)
NEVER(mtmd_input_chunk_type, mtmd_input_chunk_get_type, const mtmd_input_chunk *)
NEVER(const llama_token *, mtmd_input_chunk_get_tokens_text, const mtmd_input_chunk *, size_t *)
NEVER(size_t, mtmd_input_chunk_get_n_tokens, const mtmd_input_chunk *)
NEVER(const char *, mtmd_input_chunk_get_id, const mtmd_input_chunk *)
NEVER(llama_pos, mtmd_input_chunk_get_n_pos, const mtmd_input_chunk *)
NEVER(mtmd_input_chunk *, mtmd_input_chunk_copy, const mtmd_input_chunk *)
NEVER(mtmd_input_chunk *, mtmd_input_chunk_get_placeholder, const mtmd_input_chunk *)
NEVER(int32_t, mtmd_input_chunk_save, const mtmd_input_chunk *, char *, size_t, size_t *)
