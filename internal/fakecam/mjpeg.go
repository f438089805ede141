package fakecam

import (
	"fmt"

	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmjpeg"
)

// cutJPEG returns a clip of one picture.
func cutJPEG(jpeg []byte) (*clip, error) {
	encoder := &rtpmjpeg.Encoder{PayloadMaxSize: maxPayload}
	if err := encoder.Init(); err != nil {
		return nil, fmt.Errorf("the MJPEG packetizer does not start: %w", err)
	}
	packets, err := encoder.Encode(jpeg)
	if err != nil {
		return nil, fmt.Errorf("the JPEG picture cannot be sent over RTP: %w", err)
	}
	f := frame{key: true, bodySize: len(jpeg)}
	for _, p := range packets {
		f.body = append(f.body, p.Payload)
	}
	return &clip{frames: []frame{f}}, nil
}
