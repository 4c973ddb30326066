/* limits.h: every cap of the library in one place; docs/limits.md explains
 * them.  A limit exists so that what comes from outside cannot choose how much
 * memory or time is spent on it. */
#ifndef GA_BASE_LIMITS_H
#define GA_BASE_LIMITS_H

/* text and conversations */
#define GA_MAX_TEXT_BYTES (16u << 20) /* one prompt or message */
#define GA_MAX_MESSAGES 4096u         /* of one conversation */
#define GA_MAX_BATCH 65536u           /* texts of one embed call */
#define GA_MAX_THREADS 256u

/* models */
#define GA_MAX_CONFIG_BYTES (1u << 20)
#define GA_MAX_VOCAB_BYTES (32u << 20)
#define GA_MAX_VOCAB_TOKENS 1000000u
#define GA_MAX_TOKEN_BYTES 1024u /* one entry of a vocabulary */
#define GA_MAX_TENSORS 4096u
#define GA_MAX_TENSOR_HEADER (16u << 20)
#define GA_MAX_LAYERS 128u
#define GA_MAX_HIDDEN 8192u
#define GA_MAX_POSITIONS 8192u

/* JSON read by the core */
#define GA_MAX_JSON_DEPTH 64u

/* guidelines */
#define GA_MAX_ID_BYTES 128u
#define GA_MAX_TITLE_BYTES 256u
#define GA_MAX_GUIDELINE_BYTES 8192u /* text */
#define GA_MAX_TRIGGERS 256u         /* of one guideline, and non-triggers */
#define GA_MAX_TRIGGER_BYTES 16384u
#define GA_MAX_TAGS 32u /* risks, topics, scopes of one */
#define GA_MAX_TAG_BYTES 64u
#define GA_MAX_SOURCE_BYTES (64u << 10) /* where a guideline comes from */
#define GA_MAX_SOURCE_DEPTH 8u
#define GA_MAX_SOURCE_MEMBERS 64u
#define GA_MAX_AUTHOR_BYTES 128u /* of a change to a library */
#define GA_MAX_ACTION_BYTES 64u
#define GA_MAX_REASON_BYTES 8192u
#define GA_MAX_LINE_BYTES (8u << 20) /* one line of a JSONL file */

/* packs and retrieval */
#define GA_MAX_PACK_SECTIONS 64u
#define GA_MAX_GUIDELINES (16u << 20)
#define GA_MAX_K 32u /* guidelines chosen for one prompt */
#define GA_MAX_CANDIDATES 1024u

#endif
