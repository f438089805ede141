package localapi

import (
	"context"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// AuditRequest is the body of POST /v1/audit: what was recorded from (inclusive) to (exclusive) is compared with what the cloud lists.
type AuditRequest struct {
	Stream string    `json:"stream"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	// Repair sends what is missing once more; above a gigabyte it needs Yes.
	Repair bool `json:"repair,omitempty"`
	Yes    bool `json:"yes,omitempty"`
}

// The phases of an audit.
const (
	AuditComparing = "comparing"
	AuditRepairing = "repairing"
	AuditDone      = "done"
)

// AuditProgress is a line of the answer. The last one is finished or has an error.
type AuditProgress struct {
	Stream string `json:"stream"`
	Phase  string `json:"phase"`
	// Fragments on the hub that were uploaded: the sum of present, missing, pending and expired. WithReceipt of them were compared by
	// their numbers.
	Fragments   int `json:"fragments"`
	WithReceipt int `json:"withReceipt"`
	Present     int `json:"present"`
	Missing     int `json:"missing"`
	Pending     int `json:"pending"`
	Expired     int `json:"expired"`
	// MissingBytes are those of the missing fragments that are still recorded on the hub.
	MissingBytes int64 `json:"missingBytes"`
	NotUploaded  int   `json:"notUploaded,omitempty"`
	Refused      int   `json:"refused,omitempty"`
	// Gone fragments are not recorded any more on the hub; goneMissing of them must be in the cloud and are not.
	Gone               int `json:"gone,omitempty"`
	GonePresent        int `json:"gonePresent,omitempty"`
	GoneMissing        int `json:"goneMissing,omitempty"`
	UnreadableSegments int `json:"unreadableSegments,omitempty"`
	Listed             int `json:"listed"`
	RetentionHours     int `json:"retentionHours,omitempty"`
	// IngestPrice is what sending the missing fragments again costs, in Currency, for the storage tier.
	IngestPrice float64 `json:"ingestPrice,omitempty"`
	Currency    string  `json:"currency,omitempty"`
	StorageTier string  `json:"storageTier,omitempty"`
	// Repaired of the missing fragments were sent again, with their bytes.
	Repaired      int   `json:"repaired,omitempty"`
	RepairedBytes int64 `json:"repairedBytes,omitempty"`
	// Lost are the missing fragments, up to MaxLost of them, in the last line of the comparison.
	Lost     []LostFragment `json:"lost,omitempty"`
	Finished bool           `json:"finished,omitempty"`
	Error    string         `json:"error,omitempty"`
	Code     string         `json:"code,omitempty"` // of the error
}

// MaxLost is how many missing fragments an audit names.
const MaxLost = 1000

// LostFragment is a fragment that must be in the cloud and is not.
type LostFragment struct {
	Start          time.Time `json:"start"` // its producer timestamp
	Seconds        float64   `json:"seconds"`
	Bytes          int64     `json:"bytes"`
	FragmentNumber string    `json:"fragmentNumber,omitempty"` // missing without a receipt
	Segment        string    `json:"segment,omitempty"`
	// Recorded says that it is still on the hub, so that it can be sent again.
	Recorded bool `json:"recorded"`
}

// audit answers with a line of JSON whenever the audit has come further. It ends when the client hangs up.
func (s *Server) audit(r *request) (any, error) {
	if s.o.Agent.Audit == nil {
		return nil, errNotHere
	}
	var in AuditRequest
	if err := r.decode(&in, "an audit"); err != nil {
		return nil, err
	}
	return lines(r, func(each func(AuditProgress)) error { return s.o.Agent.Audit(r.Context(), in, each) },
		func(last *AuditProgress, err error) {
			if last.Phase == "" {
				last.Stream, last.Phase = in.Stream, AuditComparing
			}
			last.Lost, last.Error, last.Code = nil, err.Error(), health.FaultOf(err, "").Code
		})
}

// AuditError is why an audit ended early.
type AuditError struct {
	Text string
	Code string // that of a fault
}

// Error implements error.
func (e *AuditError) Error() string { return e.Text }

// Audit asks the agent for an audit and passes on how far it is, until its end. The error of an audit that ended early is an
// *AuditError.
func (c *Client) Audit(ctx context.Context, r AuditRequest, each func(AuditProgress)) error {
	return lasting(ctx, c, pathAudit, "audit", r, func(p AuditProgress) (finished bool, err error) {
		if p.Error != "" {
			return false, &AuditError{p.Error, p.Code}
		}
		each(p)
		return p.Finished, nil
	})
}
