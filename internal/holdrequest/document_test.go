package holdrequest

import (
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

func TestARequestThatCannotBeFollowedIsNamed(t *testing.T) {
	t.Parallel()
	add := func(more string) string {
		return `{"RequestId":"a","Action":"ADD","HoldId":"h","StreamName":"door"` + more + `}`
	}
	long := strings.Repeat("x", maxRequestID+1)
	for _, row := range []struct{ payload, id, hold, says string }{
		{"", "", "", "not a JSON object"},
		{"[]", "", "", "not a JSON object"},
		{"null", "", "", "RequestId is missing or not a string"},
		{`{"Action":"REMOVE","HoldId":"h"}`, "", "h", "RequestId is missing"},
		{`{"RequestId":7,"Action":"REMOVE","HoldId":"h"}`, "", "h", "RequestId is missing or not a string"},
		{`{"RequestId":"` + long + `","Action":"REMOVE","HoldId":"h"}`, long[1:], "h", "RequestId has 129 bytes; at most 128"},
		{`{"RequestId":"` + strings.Repeat("é", 65) + `","Action":"REMOVE"}`, strings.Repeat("é", 64), "", "RequestId has 130 bytes"},
		{`{"RequestId":"a","Filler":"` + strings.Repeat("x", kvslimit.MessageBytes) + `"}`, "", "", "at most 131072 are allowed"},
		{`{"RequestId":"a","HoldId":"h"}`, "a", "h", "Action must be ADD or REMOVE"},
		{`{"RequestId":"a","Action":"add","HoldId":"h"}`, "a", "h", "Action must be ADD or REMOVE"},
		{`{"RequestId":"a","Action":["ADD"],"HoldId":"h"}`, "a", "h", "Action must be ADD or REMOVE"},
		{`{"RequestId":"a","Action":"REMOVE"}`, "a", "", "HoldId is missing"},
		{`{"RequestId":"a","Action":"ADD","HoldId":7}`, "a", "", "HoldId is missing or not a string"},
		{`{"RequestId":"a","Action":"REMOVE","HoldId":"` + long + `"}`, "a", long[:maxShownID], "HoldId has 129 bytes; at most 64"},
		{`{"RequestId":"a","Action":"ADD","HoldId":"h"}`, "a", "h", "StreamName is missing"},
		{`{"RequestId":"a","Action":"ADD","HoldId":"h","StreamName":"../door"}`, "a", "h", "StreamName is missing or cannot be"},
		{add(``), "a", "h", "From is missing or wrong: it must be a time in seconds since 1970"},
		{add(`,"From":"yesterday"`), "a", "h", "From is missing or wrong"},
		{add(`,"From":1`), "a", "h", "To is missing or wrong"},
		{add(`,"From":1,"To":1795233600000`), "a", "h", "To is missing or wrong"}, // milliseconds
		{add(`,"From":2,"To":2`), "a", "h", "To must be after From"},
		{add(`,"From":1,"To":2,"Reason":"x","Until":"never"`), "a", "h", "Until is missing or wrong"},
		{add(`,"From":1,"To":2,"Reason":"x","Until":0`), "a", "h", "Until is missing or wrong"},
		{add(`,"From":1,"To":2`), "a", "h", "Reason is missing"},
		{add(`,"From":1,"To":2,"Reason":4711`), "a", "h", "Reason is missing or not a string"},
	} {
		in, wrong := parse([]byte(row.payload))
		if in.RequestID != row.id || in.HoldID != row.hold || !strings.Contains(wrong, row.says) {
			t.Errorf("%.80s is read as %q about %q: %q, want %q", row.payload, in.RequestID, in.HoldID, wrong, row.says)
		}
	}
	in, wrong := parse([]byte(add(`,"From":1795233600.5,"To":1795233660,"Until":1795240000,"Reason":"theft","Later":[]`)))
	got := in.hold("somebody")
	if wrong != "" || in.Action != ActionAdd || got.ID != "h" || got.Stream != "door" || got.Reason != "theft" || got.Source != "somebody" ||
		!got.From.Equal(time.UnixMilli(1795233600500)) || !got.To.Equal(time.Unix(1795233660, 0)) || !got.Until.Equal(time.Unix(1795240000, 0)) {
		t.Errorf("a good one is read as %+v, %q", got, wrong)
	}
	in, wrong = parse([]byte(add(`,"From":1,"To":2,"Until":null,"Reason":"theft"`)))
	if wrong != "" || !in.hold("").Until.IsZero() {
		t.Errorf("one without an end is read as %+v, %q", in, wrong)
	}
	in, wrong = parse([]byte(`{"RequestId":"a","Action":"REMOVE","HoldId":"h"}`))
	if wrong != "" || in.Action != ActionRemove || in.HoldID != "h" {
		t.Errorf("a removal is read as %+v, %q", in, wrong)
	}
}

func FuzzRequests(f *testing.F) {
	f.Add([]byte(`{"RequestId":"a","Action":"ADD","HoldId":"h","StreamName":"door","From":1.5,"To":2,"Until":3,"Reason":"theft"}`))
	f.Add([]byte(`{"RequestId":"a","Action":"REMOVE","HoldId":"h"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		in, wrong := parse(payload)
		if wrong == "" && (in.RequestID == "" || in.HoldID == "" || in.Action == "") {
			t.Errorf("%q is read as %+v", payload, in)
		}
		if wrong == "" && in.Action == ActionAdd && (in.StreamName == "" || in.Reason == "" || !in.From.Before(in.To.Time)) {
			t.Errorf("%q is read as %+v", payload, in)
		}
		// Whatever was asked can be answered.
		out := answer{RequestID: in.RequestID, Action: in.Action, HoldID: in.HoldID, StreamName: in.StreamName, Status: Failed, Details: wrong}
		if encoded, err := out.encode(time.Unix(1, 0)); err != nil || len(encoded) > kvslimit.MessageBytes {
			t.Errorf("%q is answered with %d bytes, %v", payload, len(encoded), err)
		}
	})
}
