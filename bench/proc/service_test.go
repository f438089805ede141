package proc

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestAgentsAreStartedAsTheUnitDoes compares the slack with the unit's, and has the kernel say it of a process.
func TestAgentsAreStartedAsTheUnitDoes(t *testing.T) {
	t.Parallel()
	unit, err := os.ReadFile("../../deploy/systemd/kvs-edge-agent.service")
	if err != nil {
		t.Fatal(err)
	}
	if line := fmt.Sprintf("\nTimerSlackNSec=%dms\n", timerSlack/time.Millisecond); !strings.Contains(string(unit), line) {
		t.Errorf("the unit has no line %q", line)
	}
	slack := func(start func(*exec.Cmd) error) string {
		cmd, out := exec.Command("cat", "/proc/self/timerslack_ns"), &strings.Builder{}
		cmd.Stdout = out
		if err := start(cmd); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out.String())
	}
	before := slack((*exec.Cmd).Start)
	if got := slack(StartAsService); got != fmt.Sprint(int64(timerSlack)) {
		t.Errorf("the agent has a slack of %s ns", got)
	}
	if after := slack((*exec.Cmd).Start); after != before {
		t.Errorf("others have a slack of %s ns afterwards, %s before", after, before)
	}
}
