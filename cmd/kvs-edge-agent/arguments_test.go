package main

import (
	"strings"
	"testing"
)

// The exit codes are for scripts: 1 of status would say that the hub is degraded, and 1 of verify
// that recordings are damaged.
func TestWrongArgumentsHaveAnExitCodeOfTheirOwn(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"stats", "status extra", "check extra", "verify extra", "segments extra", "run extra", "reload extra", "version extra",
		"log-level INFO DEBUG", "record", "export", "run --bogus", "generate-docs", "upload extra",
		"record --duration -1s rtsp://127.0.0.1:1/x", "record --segment-duration 0s rtsp://127.0.0.1:1/x",
		"demo --duration 0s", "fakecam extra", "fakecam stamps", "fakecam --codec vp8", "fakecam --oddity rain",
	} {
		if code := run(strings.Fields(line)); code != exitSettings {
			t.Errorf("%q ends with %d, want %d", line, code, exitSettings)
		}
	}
}
