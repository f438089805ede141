package answer

import (
	"strings"
	"testing"
)

func TestNoiseIsPassedOverUpToWhatMayBeAnElement(t *testing.T) {
	t.Parallel()
	for _, start := range append([]string{string(rune(frameMark)), response}, requests...) {
		for _, noise := range []string{"\x00", "xyz", "\r\n", strings.Repeat("-", 10_000)} {
			if kind, size, _ := First([]byte(noise+start), false); kind != Noise || size != len(noise) {
				t.Errorf("%.10q before %q: element %d of %d bytes", noise, start, kind, size)
			}
		}
	}
}
