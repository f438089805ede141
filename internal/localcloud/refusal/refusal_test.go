package refusal_test

import (
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/refusal"
)

func TestALineSaysWhatWhereAndWhy(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		r    refusal.Refusal
		want string
	}{
		{"whole", refusal.Refusal{What: "PutMedia", Of: "front-door", By: "hub-1", Code: "INVALID_MKV_DATA (4006)",
			Where: "SimpleBlock at byte 12",
			Why:   "is laced"},
			"refused PutMedia of front-door by hub-1: INVALID_MKV_DATA (4006) at SimpleBlock at byte 12: is laced"},
		{"least", refusal.Refusal{What: "CreateStream", Why: "no reason"}, "refused CreateStream: no reason"},
		{"hostile", refusal.Refusal{What: "A\nB", Of: "\x1b[2J", Why: "bad \xff\u2028 text"}, "refused A?B of ?[2J: bad ?? text"},
		{"long", refusal.Refusal{What: "X", Why: strings.Repeat("ü", 400)}, "refused X: " + strings.Repeat("ü", 150) + "…"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			refusal.NewLog(&out).Add(row.r)
			if got := out.String(); got != row.want+"\n" {
				t.Errorf("got  %q\nwant %q", got, row.want+"\n")
			}
		})
	}
}

func TestNoLogWritesNothing(t *testing.T) {
	t.Parallel()
	refusal.NewLog(nil).Add(refusal.Refusal{What: "X"})
}
