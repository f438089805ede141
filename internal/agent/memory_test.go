package agent

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestTheProgramsPagesAreGivenBack(t *testing.T) {
	// Not parallel: what runs beside it touches pages again.
	mapped := func() (kB int) {
		data, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			_, _ = fmt.Sscanf(line, "RssFile: %d kB", &kB)
		}
		return kB
	}
	before := mapped()
	if err := unmapProgram(); err != nil {
		t.Fatal(err)
	}
	if after := mapped(); after > before/2 {
		t.Errorf("%d kB of files are mapped, %d before", after, before)
	}
}
