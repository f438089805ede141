package status

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// hub has streams, the last of which have a problem each, of some causes.
func hub(streams, affected, causes int, name string) Snapshot {
	s := Snapshot{Time: now, Thing: "hub", Version: "v1", Started: now.Add(-time.Hour), Verdict: Degraded}
	for i := range streams {
		st := Stream{Name: fmt.Sprintf("%s%03d", name, i), Recorder: Recorder{Job: Job{State: "recording", Since: now}}}
		if n := streams - i; n <= affected {
			severity := health.Degraded
			if n%2 == 0 {
				severity = health.Failed
			}
			st.Conditions = []Condition{{Job: "recorder", Condition: health.Condition{
				Code: fmt.Sprint("cause", n%causes), Severity: severity, Since: now.Add(-time.Minute),
				Text: "The camera at " + strings.Repeat("address.", n%9) + " refuses connections: check that it is on and that its RTSP port is right.",
			}}}
		}
		s.Streams = append(s.Streams, st)
	}
	return s
}

var colour = regexp.MustCompile("\x1b\\[[0-9]*m")

func TestAFittedTableFits(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{80, 24}, {200, 50}, {100, 30}, {40, 12}, {20, 8}, {10, 4}, {1, 1}} {
		for _, streams := range []int{0, 1, 5, 20, 200} {
			for _, affected := range []int{0, 1, 7, 20, 200} {
				for _, name := range []string{"c", "camera-", strings.Repeat("long-name-", 12)} {
					s := hub(streams, min(affected, streams), 5, name)
					var b strings.Builder
					if err := (View{Width: size[0], Height: size[1], Color: affected == 7}).Write(&b, s); err != nil {
						t.Fatal(err)
					}
					text := colour.ReplaceAllString(b.String(), "")
					lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
					if len(lines) > size[1]-1 && size[1] >= 8 {
						t.Errorf("%v, %d streams, %d affected: %d lines\n%s", size, streams, affected, len(lines), text)
					}
					for _, line := range lines {
						if utf8.RuneCountInString(line) > size[0] && size[0] >= 20 {
							t.Errorf("%v, %d streams, %d affected: the line %q is %d wide", size, streams, affected, line, utf8.RuneCountInString(line))
						}
					}
				}
			}
		}
	}
}

func TestEveryAffectedStreamIsMarkedOnAnOrdinaryTerminal(t *testing.T) {
	t.Parallel()
	for affected := range 21 {
		var b strings.Builder
		if err := (View{Width: 80, Height: 24}).Write(&b, hub(20, affected, 5, "camera-")); err != nil {
			t.Fatal(err)
		}
		for i := 20 - affected; i < 20; i++ {
			if !strings.Contains(b.String(), fmt.Sprintf("! camera-%03d", i)) {
				t.Errorf("of %d the stream %d is not marked:\n%s", affected, i, b.String())
			}
		}
		if affected > 0 && !strings.Contains(b.String(), "refuses") {
			t.Errorf("with %d affected no cause is said:\n%s", affected, b.String())
		}
	}
}

func TestASentenceThatIsCutEndsWithOneMark(t *testing.T) {
	t.Parallel()
	for length := range 200 {
		c := cause{worst: sentence{text: strings.Repeat("word ", 60) + strings.Repeat("x", length) + strings.Repeat(" word", 60)}, streams: 1}
		lines := c.lines(View{Width: 80, Height: 24})
		if last := lines[len(lines)-1]; strings.Count(last, "…") != 1 || !strings.HasSuffix(last, "…") {
			t.Errorf("a sentence that is cut ends with %q", last)
		}
	}
}
