package payload_test

import (
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit/payload"
)

// A NAL unit larger than a packet comes in fragments; this is the first one of an IDR picture.
func ExampleH264() {
	const fragment, startOfIDR = 0x7c, 0x85
	err := payload.H264([]byte{fragment, startOfIDR, 'a', 'b'}, func(p payload.Part) {
		fmt.Printf("%x %v start: %v end: %v\n", p.Header[0], p.Data, p.Start, p.End)
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(payload.H264([]byte{fragment}, func(payload.Part) {}))
	// Output:
	// 65 [97 98] start: true end: false
	// a fragmentation unit is shorter than its header
}
