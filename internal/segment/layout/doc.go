// Package layout defines the layout of the recording directory: which files there are, what their names mean, and the format
// of the small ones. It must not know when they are written.
//
// The directory is the database. A stream has a directory of its own; a segment's name holds its
// start (UTC), for finished ones the milliseconds to its last frame, and its state:
//
//	front-door/.stream                                      the stream's name
//	front-door/20261121T042048.123Z.writing.mkv             being recorded
//	front-door/20261121T041548.083Z+299960.sealed.mkv       finished, to be uploaded
//	front-door/20261121T041548.083Z.progress                which of its fragments are persisted or refused
//	front-door/20261121T041048.043Z+299960.uploaded.mkv     all fragments persisted
//	front-door/20261121T040548.003Z+299960.refused.mkv      uploaded except for fragments that KVS refused
//	front-door/20261121T040048.003Z+299960.garbage          being deleted
//	front-door/20261121T042048.123Z.doubt                   a sync of the file failed: it is to be written again
//	front-door/.clock                                       which times are wrong, and when epochs began
//	front-door/.gaps                                        where nothing was recorded within segments
//	front-door/e000001-20261121T031048.043Z+299960.sealed.mkv  of the second epoch; epochs are numbered with
//	                                                        six digits; the first has no number
//	front-door/quarantine/                                  unreadable files, for a person to check
//
// A state changes by a rename, after the file was synced and before its directory is. So at any
// instant a crash leaves a file in exactly one state.
package layout
