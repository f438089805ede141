// Package gaps finds where nothing was recorded within segments, and owns a stream's side file that records these gaps. It
// must not know which segments exist.
//
// The side file is appended to when a segment with gaps is finished, before the segment is renamed: one line for each gap,
// with the segment's name and ms since its start. Another line names the segment from which on all gaps are noted:
//
//	since 20261121T041548.083Z
//	20261121T041548.083Z 12000 35000
package gaps
