// Package media plays PutMedia and GetMedia of Kinesis Video Streams: an http.Handler that takes
// fragments, checks them as strictly as the documentation says, acknowledges them, has them kept on
// disk (package archive) and returns them. It does not know the agent,
// signatures (Options.Verify) or how streams are created (Options.Streams).
//
// # GetMedia
//
// As captures of the service show (AWS's Java parser library, src/test/resources), each fragment
// comes complete: the producer's EBML head, Segment (of unknown size, also where the producer gave
// one), Info, Tracks and everything else before its first Cluster; KVS's Tags with fragment number and times;
// the Cluster as it was sent, with relative times where those were sent; what the producer sent
// behind it, Cues too; and KVS's Tags with MILLIS_BEHIND_NOW and the continuation token. Tags that
// preceded Tracks come with the first fragment of their session only, those after Tracks with each,
// as in the captures of AWS's C producer and of ffmpeg. MILLIS_BEHIND_NOW is the time since the
// server timestamp, as the captures' values rise with the time that sending takes. A fragment is
// sent when it has ended, so that no tags come later.
//
// # Decisions where the documentation is silent or contradicts itself
//
//   - Pace: above 5 fragments/s or 12.5 MB/s the body is read more slowly, as the API reference says
//     ("reads media data at a rate of up to 12.5 MB/second"); above 5 requests/s the answer is
//     ClientLimitExceededException. Stats counts the time that producers were held back.
//   - Connections: of several for one stream the newest wins; the older one is closed without an
//     answer, and what it has not ended is dropped. The quota page speaks of
//     ConnectionLimitExceededException for the newest, field reports and older guides of the
//     newest being accepted; a producer that lost its connection could never come back otherwise.
//   - The end of a fragment is the start of the next Cluster, the tag AWS_KINESISVIDEO_END_OF_FRAGMENT
//     behind it, or the end of the session: of the body, or after 60 s without a byte (30 s in
//     the API reference). Its last byte does not end it, nor does IDLE, nor a connection that breaks.
//     Only then is it judged, RECEIVED and PERSISTED.
//   - Shortest duration: MIN_FRAGMENT_DURATION_REACHED (which has no documented ErrorId, so none is
//     sent) comes only when the next fragment of the session begins less than 1 s after the
//     previous one, with a tolerance of 10 %; see Limits.leastDistance. Where a tag ended that one, it is
//     stored and PERSISTED by then; the ERROR names it
//     nevertheless, as it is too short. What AWS does there is not known. The last fragment of a
//     session is stored however short it is: AWS's own producers end every session with whatever
//     frames are left, and end fragments by the tag when frames stop coming.
//   - Longest duration: 20 s (quotas), not 10 s (API text), counted to the last frame, so that a
//     pause of the camera does not count.
//   - Order: timecodes must rise within a session. Sessions are independent of each other, as
//     backlogs are uploaded out of order.
//   - Tags: tags after a Cluster belong to it, tags before the first Cluster to the first, and
//     tags after the end of a fragment by its tag to the next, or to none if no other follows. Sources:
//     reports of AWS's C producer (issue 405: with tags before every Cluster the first fragment has
//     them twice, the last none) and how it was changed. A tag AWS_KINESISVIDEO_END_OF_FRAGMENT
//     without a fragment to end ends nothing; the tag counts to the 10 that a fragment may have.
//     FRAGMENT_METADATA_LIMIT_REACHED comes also for names that begin with AWS and are not the producer's.
//   - After an ERROR the connection is closed, as the C producer expects. Only the first is sent.
//   - More tracks than allowed: 4005, as in the API reference. The C producer calls 4005
//     MULTI_TRACK_MKV and has 4012 for it; which one the service sends is not known. A stream that is
//     deleted during a session ends it with 4008 STREAM_NOT_ACTIVE; the C producer also knows 4507
//     STREAM_DELETED, and when that comes is not known either. ErrorAt can send both.
//   - Acknowledgements are one HTTP chunk each, as AWS's C producer reads only the first of a chunk.
//   - Matroska is read more strictly than KVS does, see strictmkv: what KVS stores but nothing can
//     play is refused here with INVALID_MKV_DATA. With AsStored it is stored here too.
//   - A fragment may be followed by as many bytes outside of Clusters as it may have itself.
//
// # Refusals
//
// Each answer that is not 200, each ERROR and each connection that a fault resets is one line in
// Options.Refusals. So is each session that ends because a newer one displaces it, because it stops
// in the middle of a fragment, or because its acknowledgements are not taken.
package media
