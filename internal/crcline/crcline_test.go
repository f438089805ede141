package crcline_test

import (
	"bytes"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/crcline"
)

func TestALineIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	// The check value of CRC-32C, as catalogues of checksums have it.
	if got := string(crcline.Append([]byte("before\n"), []byte("123456789"))); got != "before\ne3069283 123456789\n" {
		t.Errorf("it is written as %q", got)
	}
	for _, body := range []string{"", " ", "{}", "a b", "\xff\x00"} {
		line := bytes.TrimSuffix(crcline.Append(nil, []byte(body)), []byte("\n"))
		if got, ok := crcline.Body(line); !ok || string(got) != body {
			t.Errorf("%q is read as %q, %v", body, got, ok)
		}
		for i := range line {
			for bit := range 8 {
				line[i] ^= 1 << bit
				if _, ok := crcline.Body(line); ok {
					t.Errorf("%q is accepted, with bit %d of byte %d changed", line, bit, i)
				}
				line[i] ^= 1 << bit
			}
		}
		for n := range line {
			if _, ok := crcline.Body(line[:n]); ok {
				t.Errorf("%q is accepted", line[:n])
			}
		}
	}
}
