package accessunit_test

import (
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
)

// A sink that only counts shows what a source sends.
func ExampleProbeSink() {
	sink := accessunit.NewProbeSink(func() {})
	sink.Begin(accessunit.H264, 90_000, nil, nil)
	keyframe, other := [][]byte{{0x65, 0x88}}, [][]byte{{0x41, 0x9a}}
	for i := range 76 { // 25 a second, a keyframe each second
		nalus := other
		if i%25 == 0 {
			nalus = keyframe
		}
		sink.AccessUnit(nalus, uint32(i*3600), time.Time{})
	}
	result := sink.Result("192.0.2.7:554")
	fmt.Printf("%s sends %s: %d frames, %.1f a second, a keyframe every %v\n",
		result.Host, result.Codec, sink.Frames(), result.FPS, result.KeyframeInterval)
	// Output:
	// 192.0.2.7:554 sends H.264: 76 frames, 25.0 a second, a keyframe every 1s
}
