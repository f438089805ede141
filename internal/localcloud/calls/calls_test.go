package calls

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestALineOfACallIsBoundedAndClean(t *testing.T) {
	t.Parallel()
	e := Call{Began: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), Service: "s", Operation: "Op\n", Resource: strings.Repeat("r", 1000),
		Caller: "hub", Outcome: "200", In: 1, Out: 2}
	want := fmt.Sprintf("2026-01-02T03:04:05.006Z s Op? of %s… by hub: 200, 1 bytes in, 2 bytes out, 7 ms\n", strings.Repeat("r", 300))
	if got := e.line(e.Began.Add(7 * time.Millisecond)); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	NewLog(Options{}).Add(&e)
	var out bytes.Buffer
	NewLog(Options{Lines: &out}).Add(new(Call))
	if !strings.Contains(out.String(), "Z - -, 0 bytes in") {
		t.Errorf("an empty call is %q", &out)
	}
}
