// Package media plays PutMedia and GetMedia of Kinesis Video Streams: an http.Handler that takes
// fragments, checks them as strictly as the documentation says, acknowledges them, keeps them on
// disk and gives them back. It owns what lies in Options.Dir and knows nothing of the agent, of
// signatures (Options.Verify) or of how streams come to be (Options.Streams).
//
// # On disk
//
// Dir holds one Matroska file per stream, <stream>.mkv, that grows by one Cluster per fragment and
// can be opened by any tool at any time, and fragments.jsonl with one line per fragment. A session
// with another codec configuration begins a further file, <stream>-2.mkv. Fragments lie there in
// the order of arrival and exactly as they were sent, repeated ones too, so that repeats can be
// counted; only those of RELATIVE sessions get a new Cluster head, with the absolute time.
// Tags of fragments are in tags.jsonl. PERSISTED is sent when the file system has taken the bytes and
// the line: they survive the end of the process, not a power cut.
//
// # Decisions where the documentation is silent or contradicts itself
//
//   - Pace: above 5 fragments/s or 12.5 MB/s the body is read more slowly, as the API reference says
//     ("reads media data at a rate of up to 12.5 MB/second"); above 5 requests/s the answer is
//     ClientLimitExceededException. Stats counts the time that producers were held back.
//   - Connections: of several for one stream the newest wins; the older one is closed without a
//     word, its unfinished fragment is dropped. The quota page speaks of
//     ConnectionLimitExceededException for the newest, field reports and older guides of the
//     newest being accepted; a producer that lost its connection could never come back otherwise.
//   - The end of a fragment is the start of the next one. A Cluster of known size is judged at
//     its last byte when its own frames show that it lasts 1 s (last frame and greatest frame
//     interval); a shorter one waits for the next Cluster, the first IDLE or the end of the body.
//   - Shortest duration: MIN_FRAGMENT_DURATION_REACHED (which has no documented ErrorId, so none is
//     sent) comes only when the next fragment of the session proves that the one before lasted
//     less than 1 s. The last fragment of a session is stored however short it is: AWS's own
//     producers end every session with whatever frames are left.
//   - Longest duration: 20 s (quotas), not 10 s (API text), counted to the last frame, so that a
//     pause of the camera does not count.
//   - Order: timecodes must rise within a session. Sessions are independent of each other, as
//     backlogs are uploaded out of order.
//   - Tags: those behind a Cluster belong to it, those before the first Cluster to the first. So say
//     reports of AWS's C producer (issue 405: with tags before every Cluster the first fragment has
//     them twice, the last none) and how it was changed. GetMedia gives them behind the Cluster too.
//     They may come when their fragment is acknowledged already; FRAGMENT_METADATA_LIMIT_REACHED,
//     also for names that begin with AWS and are not the producer's, then names it after its PERSISTED.
//   - After an ERROR the connection is closed, as the C producer expects. Only the first is sent.
//   - Matroska is read more strictly than KVS does, see strictmkv: what KVS stores but nothing can
//     play is refused here with INVALID_MKV_DATA.
package media
