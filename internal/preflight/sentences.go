package preflight

import (
	"errors"
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/hub"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/neterr"
)

// sentence ends an error as people end theirs.
func sentence(err error) string {
	text := health.FaultOf(err, hub.CodeCloud).Text
	if text != "" && text[len(text)-1] != '.' {
		text += "."
	}
	return text
}

// rootFault returns the sentence for people that an error of the SDK is wrapped around.
func rootFault(err error) error {
	var fault *health.Fault
	if errors.As(err, &fault) {
		return fault
	}
	return err
}

// answerFault words an error of a question to who: in place of an error of Go's, that there was no answer in the time waited.
func answerFault(err error, who string, waited time.Duration) string {
	if err = rootFault(err); neterr.IsTimeout(err) {
		return fmt.Sprintf("There was no answer from %s within %s: check the hub's internet connection and firewall.", who, humanize.Span(waited))
	}
	return sentence(err)
}
