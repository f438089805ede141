// Package retention owns the decision which segments go: by age, by size, after their upload, and
// when the disk runs low. It must not know how segments are stored, recorded or uploaded; it asks
// the store, and has it delete.
package retention

import (
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// The strategies of a Policy.
const (
	DeleteOldest = desired.DeleteOldest
	DenyNew      = desired.DenyNew
)

// Policy is what is kept of one stream.
type Policy desired.Keep

// SegmentsPerLimit is how many segments fit MaxBytes at the least. The recorder's segments are
// limited to that share of it, and so much stays free, so that the one being written fits and
// deleting the oldest never takes much more than is needed.
const SegmentsPerLimit = 16

// full reports whether a stream of that size takes no further segment.
func (p Policy) full(bytes int64) bool { return p.MaxBytes > 0 && bytes > p.MaxBytes-p.ahead() }

// ahead is what stays free for the segment that is being written.
func (p Policy) ahead() int64 { return p.MaxBytes / SegmentsPerLimit }

// codeFull is that of a stream that has reached its limit.
const codeFull = "limit-reached"

// denies says why a stream that is full takes no new media, of which so many bytes are refused by the service.
func (p Policy) denies(refused int64) *health.Fault {
	why := ""
	if refused > 0 {
		why = fmt.Sprintf(" %s are recordings with fragments that the service refused, and stay: `kvs-edge-agent upload --refused` tries them "+
			"again; "+
			"or `export` what you need of them and lower EdgeRetentionInHours.", humanize.Bytes(refused))
	}
	return health.UserFault(codeFull, nil,
		"The limit of %d MB is reached and StrategyOnFullSize is DENY_NEW_MEDIA: recording resumes when uploaded media is deleted; "+
			"raise MaxLocalMediaSizeInMB if that is too late.%s", p.MaxBytes/1e6, why)
}

// String says in a few words what is kept.
func (p Policy) String() string {
	text := "kept for ever"
	if p.MaxAge > 0 {
		text = "kept for " + humanize.Span(p.MaxAge)
	}
	switch {
	case p.MaxBytes > 0 && p.OnFull == DenyNew:
		text += fmt.Sprintf(", up to %s (DENY_NEW_MEDIA: nothing goes for its size)", humanize.Bytes(p.MaxBytes))
	case p.MaxBytes > 0:
		text += fmt.Sprintf(", up to %s, then the oldest go", humanize.Bytes(p.MaxBytes))
	case p.OnFull == DenyNew:
		text += " (DENY_NEW_MEDIA)"
	}
	if p.DeleteAfterUpload && !p.Local {
		text += ", deleted after their upload"
	}
	return text
}
