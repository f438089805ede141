package kvs

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// TestNothingOfAnAcknowledgementIsKeptAsItCame puts evil texts into each member.
func TestNothingOfAnAcknowledgementIsKeptAsItCame(t *testing.T) {
	t.Parallel()
	for what, text := range testtools.EvilTexts {
		for _, member := range []string{"EventType", "FragmentTimecode", "FragmentNumber", "ErrorId", "ErrorCode"} {
			ack := map[string]any{"EventType": "ERROR", "ErrorId": 4006, "ErrorCode": "X"}
			ack[member] = text
			line, err := json.Marshal(ack)
			if err != nil {
				t.Fatal(err)
			}
			list, err := readAll(strings.NewReader(string(line)))
			shown := health.FaultOf(err, "cloud").Error()
			for _, a := range list {
				for _, part := range []string{a.ErrorCode, a.FragmentNumber, string(a.EventType)} {
					if why := testtools.Harm(part, awserr.MaxText); why != "" {
						t.Errorf("%s in %s: %.100q %s", what, member, part, why)
					}
				}
			}
			if why := testtools.Harm(shown, health.MaxText); why != "" {
				t.Errorf("%s in %s: %.100q %s", what, member, shown, why)
			}
		}
	}
}
