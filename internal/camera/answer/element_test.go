package answer

import (
	"strings"
	"testing"
)

func TestNoiseIsPassedOverUpToWhatMayBeAnElement(t *testing.T) {
	t.Parallel()
	for _, start := range append([]string{string(rune(frameMark)), response}, requests...) {
		for _, malformed := range []string{"\x00", "xyz", "\r\n", strings.Repeat("-", 10_000)} {
			if kind, size, _ := First([]byte(malformed+start), false); kind != Malformed || size != len(malformed) {
				t.Errorf("%.10q before %q: element %d of %d bytes", malformed, start, kind, size)
			}
		}
	}
}
