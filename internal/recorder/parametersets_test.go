package recorder

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
)

// Parameter sets of H.265: those of pictures of 720x480 with two temporal layers, of which the lower one has a level of its own.
const (
	vps265, pps265 = "\x40\x01\x0c\x01", "\x44\x01\xc1\x73"
	idr265         = "\x26\x01\xaf\x08"
	layeredSPS     = "42010201600000030090000003000003005a40005aa005a201e1659598acd24995ffe00100012d810000030001000003001908"
)

// TestAnyReadableParameterSetsAreRecorded has parameter sets that only a part can be read of, none of which is enough, and none at all.
func TestAnyReadableParameterSetsAreRecorded(t *testing.T) {
	t.Parallel()
	layered, err := hex.DecodeString(layeredSPS)
	if err != nil {
		t.Fatal(err)
	}
	sps, pps := string(realSPS), string(realPPS)
	for name, c := range map[string]struct {
		codec accessunit.Codec
		unit  []string
		said  string // by the status, where it is not recorded
	}{
		"temporal layers with levels": {accessunit.H265, []string{vps265, string(layered), pps265, idr265}, ""},
		"an SPS that is cut off":      {accessunit.H264, []string{sps[:len(sps)-2], pps, idr}, ""},
		"an SPS without its size":     {accessunit.H264, []string{sps[:4], pps, idr}, "parameter sets (VPS, SPS, PPS) that cannot be read"},
		"no SPS":                      {accessunit.H264, []string{pps, idr}, "sends no parameter sets"},
		"nothing":                     {accessunit.H265, []string{idr265}, "sends no parameter sets"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newSegmenterRig(t)
			b.beginSession(c.codec, 90_000, nil, nil)
			b.frame(0, 0, c.unit...)
			if got := len(b.store.Segments("door", time.Time{}, time.Time{})); (got == 1) != (c.said == "") {
				t.Errorf("%d segments", got)
			}
			text := ""
			for _, condition := range b.part.Snapshot().Conditions {
				text += condition.Text
			}
			if c.said == "" && text != "" || !strings.Contains(text, c.said) {
				t.Errorf("status says %q, want %q", text, c.said)
			}
		})
	}
}
