// Package retention owns the decision which segments are deleted: by age, by size, after their upload, and when the disk
// runs low. It must not know how segments are stored, recorded or uploaded; it asks the store for them, and has it delete
// them.
package retention

import (
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// The strategies of a Policy.
const (
	DeleteOldest = desired.DeleteOldest
	DenyNew      = desired.DenyNew
)

// Policy states how long and up to which size the media of one stream is kept.
type Policy desired.Keep

// SegmentsPerLimit is the least number of segments that MaxBytes has room for. The recorder's segments are limited to that
// share of it, and the same share stays free, so that there is room for the segment being written and deleting the oldest
// one never removes much more than is needed.
const SegmentsPerLimit = 16

// full reports whether a stream of that size has no room for a further segment.
func (p Policy) full(bytes int64) bool { return p.MaxBytes > 0 && bytes > p.most() }

// most returns the size up to which the store lets a stream begin a further segment.
func (p Policy) most() int64 { return segment.Limit{Bytes: p.MaxBytes, Ahead: p.ahead()}.Most() }

// ahead returns what stays free for the segment that is being written.
func (p Policy) ahead() int64 { return p.MaxBytes / SegmentsPerLimit }

// codeFull is for a stream that has reached its limit.
const codeFull = "limit-reached"

// denies returns why a full stream accepts no new media, of which that many bytes are in segments with refused fragments.
func (p Policy) denies(refused int64) *health.Fault {
	why := ""
	if refused > 0 {
		why = fmt.Sprintf(" %s are recordings with fragments that the service refused, and stay: `kvs-edge-agent upload --refused` tries them "+
			"again; "+
			"or `export` the ones that you need and lower EdgeRetentionInHours.", humanize.Bytes(refused))
	}
	if p.Local {
		return health.UserFault(codeFull, nil,
			"The limit of %d MB is reached and StrategyOnFullSize is DENY_NEW_MEDIA: recordings are not uploaded by themselves, so recording "+
				"resumes when they are older than EdgeRetentionInHours, or were requested, uploaded and deleted; raise MaxLocalMediaSizeInMB, or "+
				"choose DELETE_OLDEST_MEDIA.%s", p.MaxBytes/1e6, why)
	}
	return health.UserFault(codeFull, nil,
		"The limit of %d MB is reached and StrategyOnFullSize is DENY_NEW_MEDIA: recording resumes when uploaded media is deleted; "+
			"raise MaxLocalMediaSizeInMB if that is too late.%s", p.MaxBytes/1e6, why)
}

// Describe describes the policy in a few words. audited is whether DeleteAfterUpload waits for an audit.
func (p Policy) Describe(audited bool) string {
	text := "kept for ever"
	if p.MaxAge > 0 {
		text = "kept for " + humanize.Span(p.MaxAge)
	}
	switch {
	case p.MaxBytes > 0 && p.OnFull == DenyNew:
		text += fmt.Sprintf(", up to %s (DENY_NEW_MEDIA: nothing is deleted for its size)", humanize.Bytes(p.MaxBytes))
	case p.MaxBytes > 0:
		text += fmt.Sprintf(", up to %s, then the oldest are deleted", humanize.Bytes(p.MaxBytes))
	case p.OnFull == DenyNew:
		text += " (DENY_NEW_MEDIA)"
	}
	switch {
	case p.DeleteAfterUpload && audited:
		text += ", deleted when an audit has found them in the cloud"
	case p.DeleteAfterUpload:
		text += ", deleted after their upload"
	}
	return text
}
