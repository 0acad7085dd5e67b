/* consumer/checkpoint_doc.h - documents like NimoShake's checkpoints, for scripts that were
 * written for those: made from ledger records.
 *
 * Each field is there in both of NimoShake's spellings (ShardId and shard_id), as text. A
 * document of ours has a mark besides; one without it is never touched. Pure. */
#pragma once

#include <bson/bson.h>
#include <stdbool.h>

#include "common/messages/ledger.h"

#define CHECKPOINT_STATUS_COLLECTION "status_table"

/* How far a shard is. The caller frees with bson_destroy, also below. */
bson_t *checkpoint_doc_shard(const struct ledger_shard *shard, const char *mark);
/* value: "", "full_sync" or "incr_sync". */
bson_t *checkpoint_doc_status(const char *value, const char *mark);
bool checkpoint_doc_is_ours(const bson_t *doc, const char *mark);
/* A filter for those that are. */
bson_t *checkpoint_doc_ours(const char *mark);
/* Its _id; "": no text, so none of ours. Good as long as the document is. */
const char *checkpoint_doc_id(const bson_t *doc);
