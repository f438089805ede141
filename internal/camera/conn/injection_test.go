package conn

import "testing"

// TestInjectedFramesAreBounded has no reader.
func TestInjectedFramesAreBounded(t *testing.T) {
	t.Parallel()
	var i injection
	for range 100 {
		i.add(0, make([]byte, 60_000))
	}
	if n := len(i.waiting); n < maxInjected-120_000 || n > maxInjected+120_000 {
		t.Errorf("%d bytes wait", n)
	}
}
