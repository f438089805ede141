package preflight

import (
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/address"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
)

// checkedStream is the result of checking one stream.
type checkedStream struct {
	name     string
	wanted   desired.Stream
	place    address.Place // where its URL is written
	invalid  bool          // its configuration, which the agent does not follow either
	namesAge bool          // its configuration says how long media is kept
	bitrate  int64         // 0: not known
	share    float64       // of the time that it records
	findings []Finding
}

func (s *checkedStream) add(check string, ok bool, format string, args ...any) {
	s.findings = append(s.findings, Finding{Check: check, Stream: s.name, OK: ok, Text: fmt.Sprintf(format, args...)})
}

// deny adds that a right is missing: text names it; again is shown instead where another stream has named it already.
func (s *checkedStream) deny(check, right, text, again string) {
	s.findings = append(s.findings, Finding{Check: check, Stream: s.name, Text: text, right: right, again: again})
}
