package uploadrequest

import (
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

func TestARequestThatCannotBeFollowedIsNamed(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxRequestID+1)
	for _, row := range []struct{ payload, id, stream, says string }{
		{"", "", "", "not a JSON object"},
		{"[]", "", "", "not a JSON object"},
		{`{"StreamName":"door","From":1,"To":2}`, "", "door", "RequestId is missing"},
		{`{"RequestId":7,"StreamName":"door","From":1,"To":2}`, "", "door", "RequestId is missing or not a string"},
		{`{"RequestId":"` + long + `","StreamName":"door","From":1,"To":2}`, long[1:], "door", "RequestId has 129 bytes; at most 128"},
		{`{"RequestId":"big","Filler":"` + strings.Repeat("x", kvslimit.MessageBytes) + `"}`, "", "", "at most 131072 are allowed"},
		{`{"RequestId":"a","From":1,"To":2}`, "a", "", "StreamName is missing"},
		{`{"RequestId":"b","StreamName":"../door","From":1,"To":2}`, "b", "", "StreamName"},
		{`{"RequestId":"c","StreamName":"door","From":"yesterday","To":2}`, "c", "door", "From is missing or wrong: it must be a time in " +
			"seconds since 1970"},
		{`{"RequestId":"d","StreamName":"door","From":1}`, "d", "door", "To is missing"},
		{`{"RequestId":"e","StreamName":"door","From":1,"To":1795233600000}`, "e", "door", "To is missing or wrong"}, // milliseconds
		{`{"RequestId":"f","StreamName":"door","From":2,"To":2}`, "f", "door", "To must be after From"},
	} {
		in, wrong := parse([]byte(row.payload))
		if in.RequestID != row.id || in.StreamName != row.stream || !strings.Contains(wrong, row.says) {
			t.Errorf("%.80s is read as %q of %q: %q, want %q", row.payload, in.RequestID, in.StreamName, wrong, row.says)
		}
	}
	in, wrong := parse([]byte(`{"RequestId":"one","StreamName":"door","From":1795233600.5,"To":1795233660}`))
	if wrong != "" || !in.From.Equal(time.UnixMilli(1795233600500)) || !in.To.Equal(time.Unix(1795233660, 0)) {
		t.Errorf("a good one is read as %+v, %q", in, wrong)
	}
}
