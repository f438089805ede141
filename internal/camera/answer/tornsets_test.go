package answer_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	strict "github.com/bluenviron/gortsplib/v4/pkg/sdp"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/sdp"
)

// TestTornSetsLeaveADescriptionReadable has parameter sets of a description that are cut off at each place: the RTSP library reads what is
// written for it, and the sets are known.
func TestTornSetsLeaveADescriptionReadable(t *testing.T) {
	t.Parallel()
	for name, all := range map[string][]string{
		"H264": {"67640028acb603c010ff2e0220000003002000000641e2045c", "68ea8cb22c"},
		"H265": {"40010c01ffff01600000030090000003000003005a959809",
			"420101016000000300900000030000030078a003c08010e596566924caf0168080000003008000000c84", "4401c172b42240"},
	} {
		for torn := range all {
			for size := 2; size <= len(all[torn])/2; size++ {
				sets := make([]string, len(all))
				for i, text := range all {
					set, err := hex.DecodeString(text)
					if err != nil {
						t.Fatal(err)
					}
					if i == torn {
						set = set[:size]
					}
					sets[i] = base64.StdEncoding.EncodeToString(set)
				}
				parameters := "sprop-parameter-sets=" + sets[0] + "," + sets[1]
				if name == "H265" {
					parameters = fmt.Sprintf("sprop-vps=%s;sprop-sps=%s;sprop-pps=%s", sets[0], sets[1], sets[2])
				}
				d := sdp.Parse(fmt.Appendf(nil, "m=video 0 RTP/AVP 96\r\na=rtpmap:96 %s/90000\r\na=fmtp:96 %s\r\n", name, parameters))
				if got := d.Tracks[0].Formats[0].ParameterSets(); len(got) != len(all) {
					t.Errorf("%s, set %d of %d bytes: %d sets are known", name, torn, size, len(got))
				}
				var parsed strict.SessionDescription
				var read description.Session
				if err := parsed.Unmarshal(d.Choose().Write("track", "")); err != nil {
					t.Fatalf("%s, set %d of %d bytes: %v", name, torn, size, err)
				}
				if err := read.Unmarshal(&parsed); err != nil {
					t.Fatalf("%s, set %d of %d bytes: %v", name, torn, size, err)
				}
				if _, generic := read.Medias[0].Formats[0].(*format.Generic); generic {
					t.Errorf("%s, set %d of %d bytes: the library does not know the format", name, torn, size)
				}
			}
		}
	}
}
