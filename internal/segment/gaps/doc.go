// Package gaps finds where nothing was recorded within segments, and owns the side file of a stream that says so. It must
// not know which segments there are.
//
// The side file is appended to when a segment with gaps is finished, before that has its name: a line each, of the
// segment's name and ms since its start. A line names the segment from which on all are noted:
//
//	since 20261121T041548.083Z
//	20261121T041548.083Z 12000 35000
package gaps
