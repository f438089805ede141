// Package strictmkv reads Matroska as PutMedia carries it, and complete Matroska files, and refuses
// what breaks the rules. It owns a parser of its own: the agent's muxer (internal/mkv) must never
// be imported here, or a mistake of the writer would be forgiven by the same mistake of the reader.
//
// A Reader turns bytes into events: one Header, then per fragment FragmentStart, Blocks and
// FragmentEnd, with Tags between fragments. Memory is bounded: header elements are buffered (at
// most 4 MiB), payloads are passed through. An event is returned as soon as its last byte was
// read: the end of a cluster of known size does not wait for the next one.
//
// What is checked, each violation being an *Error that names the element, the offset and the rule
// (RFC 8794 for EBML, RFC 9559 for Matroska):
//   - the EBML head comes first, with document type "matroska" and versions that can be read;
//   - one Segment; only Segment and Cluster may have an unknown size; no element overruns its
//     parent; identifiers and sizes are well-formed; CRC-32 values are right where present;
//   - Info (with a usable TimestampScale) and Tracks come once each, before the first Cluster;
//   - tracks: 1 to 3, numbers and UIDs are set and unique, type and codec agree, pictures have a
//     size, no content encodings, and CodecPrivate is present and well-formed for AVC (avcC),
//     HEVC (hvcC), AAC (AudioSpecificConfig) and ACM (WAVEFORMATEX);
//   - clusters: one Timestamp, before the first block; blocks name a track that exists, are not
//     laced, are not empty and have times that are not negative; AVC and HEVC blocks consist of
//     length-prefixed NAL units that fill the block exactly; the first video block of the stream
//     is a keyframe;
//   - tags: a Tags element has a Tag, each of these a SimpleTag, and each of these one TagName that
//     is not empty, and at most one TagString, both in UTF-8.
//
// SeekHead, Cues, Chapters, Attachments, Void and unknown elements inside Info, Tracks and Tags
// are skipped, as KVS does. The values of Position, PrevSize and SeekHead are not checked: in a
// live stream they mean nothing.
//
// # What a player needs, and what is stored
//
// Kinesis Video Streams stores media that nothing can play. Options.AsStored leaves these checks out;
// all others stay, as without them the end, the time or the track of something is not known:
//
//	check                                                        default   AsStored
//	DocType is "matroska"                                        refused   "webm" too
//	DocTypeReadVersion lies in 1…DocTypeVersion                  refused   taken
//	Info: Duration is a duration                                 refused   taken
//	CodecID matches TrackType                                    refused   taken
//	Video has PixelWidth and PixelHeight                         refused   taken
//	Audio has SamplingFrequency and Channels                     refused   taken
//	no ContentEncodings                                          refused   taken
//	CodecPrivate is present                                      refused   taken
//	CodecPrivate is well-formed (avcC: reserved bits 1)          refused   taken
//	blocks are not laced                                         refused   taken, as one block
//	reserved flags of blocks are 0                               refused   taken
//	NAL units fill their block                                   refused   taken
//	the first video block is a keyframe                          refused   taken
//	Tags has a Tag                                               refused   taken
//	a Tag has a SimpleTag                                        refused   taken
//	SimpleTags of a Tag with Targets are the fragment's          yes       no
//
// The last follows from a capture of GetMedia in AWS's Java parser library: more than 40 tags of
// ffmpeg, each with Targets, lie in one fragment there, of which KVS allows 10 tags.
package strictmkv
