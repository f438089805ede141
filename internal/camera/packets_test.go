package camera

import (
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/sdp"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/traffic"
)

// nowhere is a sink that stores nothing.
type nowhere struct{ *accessunit.ProbeSink }

func (nowhere) AccessUnit([][]byte, uint32, time.Time) {}

// TestAPacketAllocatesNothing is the hot path over UDP and TCP: further packets of a picture.
func TestAPacketAllocatesNothing(t *testing.T) {
	now := time.Now()
	for name, take := range map[string]func(*receiver, *rtp.Packet, time.Time){"UDP": (*receiver).takeUDP, "TCP": (*receiver).takeTCP} {
		r := &receiver{
			to: nowhere{accessunit.NewProbeSink(func() {})}, now: func() time.Time { return now }, fail: func(err error) { t.Error(err) },
			payload: traffic.NewPayloadLimit(1 << 40),
		}
		format := sdp.Format{PayloadType: 96, Codec: sdp.H264}
		v := video{codec: accessunit.H264, clock: cameraClock, types: sdp.NewPayloadTypes(format, []sdp.Format{format})}
		r.begin(v, nil, accessunit.MaxBytes)
		r.play(0, 0, false)
		payload := make([]byte, 1000)
		payload[0], payload[1] = 0x7c, 0x01 // the middle of a picture in fragments (FU-A)
		p := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SSRC: cameraSSRC}, Payload: payload}
		next := func() {
			p.SequenceNumber++
			take(r, p, now)
		}
		payload[1] |= 0x80
		next()
		payload[1] &^= 0x80
		for range 4000 { // the picture's buffer grows
			next()
		}
		if allocated := testing.AllocsPerRun(500, next); allocated >= 0.1 {
			t.Errorf("%s: %v allocations", name, allocated)
		}
	}
}

// TestAPacketOfAudioAllocatesNothing is the same for the audio of ordinary cameras.
func TestAPacketOfAudioAllocatesNothing(t *testing.T) {
	now := time.Now()
	for name, of := range map[string]struct {
		audio   audio.Description
		payload []byte
	}{
		"G.711": {audio.Description{Encoding: "PCMU", Clock: 8000, Channels: 1}, make([]byte, 160)},
		"AAC": {
			audio.Description{Encoding: "MPEG4-GENERIC", Clock: 16_000, Channels: 1, Parameters: map[string]string{
				"mode": "AAC-hbr", "config": "1408", "sizelength": "13", "indexlength": "3", "indexdeltalength": "3",
			}},
			append([]byte{0, 16, 200 >> 5, 200 << 3 & 0xFF}, make([]byte, 200)...),
		},
	} {
		for over, take := range map[string]func(*receiver, *rtp.Packet, time.Time){
			"UDP": (*receiver).takeAudioUDP, "TCP": (*receiver).takeAudioTCP,
		} {
			r := &receiver{
				to: nowhere{accessunit.NewProbeSink(func() {})}, now: func() time.Time { return now }, fail: func(err error) { t.Error(err) },
				payload: traffic.NewPayloadLimit(1 << 40),
			}
			stream, ok := of.audio.Stream()
			if !ok {
				t.Fatal(name)
			}
			format := sdp.Format{PayloadType: 96, Codec: sdp.H264}
			v := video{codec: accessunit.H264, clock: cameraClock, types: sdp.NewPayloadTypes(format, []sdp.Format{format})}
			r.begin(v, &sound{stream: stream, reader: stream.NewReader()}, accessunit.MaxBytes)
			r.play(0, 0, false)
			p := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 97, SSRC: cameraSSRC, Marker: true}, Payload: of.payload}
			next := func() {
				p.SequenceNumber++
				p.Timestamp += 1024
				take(r, p, now)
			}
			for range 100 {
				next()
			}
			if allocated := testing.AllocsPerRun(500, next); allocated >= 0.1 {
				t.Errorf("%s over %s: %v allocations", name, over, allocated)
			}
		}
	}
}
