// Package testtools owns what tests need of the world around the agent: the programs of other
// people that they check files with (ffprobe, mkvinfo, gst-launch-1.0), and a network that breaks.
// It must not know what they are used for.
package testtools

import (
	"os"
	"os/exec"
	"testing"
)

// RequireVariable names the environment variable that turns a missing program into a failure.
// `make check` sets it after installing the programs, so that nothing is skipped in silence.
const RequireVariable = "KVS_EDGE_REQUIRE_TOOLS"

// Need skips the test when one of the programs is not installed, or fails it when RequireVariable is set.
func Need(tb testing.TB, programs ...string) {
	tb.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv(RequireVariable) != "" {
			tb.Fatalf("%s is not installed: run `make tools`", program)
		}
		tb.Skipf("%s is not installed: run `make tools` to run this test", program)
	}
}
