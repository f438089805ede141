package humanize_test

import (
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

func Example() {
	fmt.Println(humanize.Bytes(1_234_567_890))
	fmt.Println(humanize.Bitrate(4_000_000))
	fmt.Println(humanize.Span(90 * time.Minute))
	fmt.Println(humanize.Count(1, "segment"), "and", humanize.Count(3, "gap"))
	fmt.Println(humanize.List([]string{"door", "gate", "yard"}))
	// Output:
	// 1.2 GB
	// 4.0 Mbit/s
	// 90 min
	// 1 segment and 3 gaps
	// door, gate, yard
}

func ExampleParseTime() {
	now := time.Date(2026, 11, 21, 4, 20, 0, 0, time.UTC)
	for _, text := range []string{"-10m", "2026-11-21T04:00:00Z", "1795233600", "noon"} {
		t, err := humanize.ParseTime(text, now)
		if err != nil {
			fmt.Println(text, err)
			continue
		}
		fmt.Println(t.UTC().Format(time.DateTime))
	}
	// Output:
	// 2026-11-21 04:10:00
	// 2026-11-21 04:00:00
	// 2026-11-21 04:00:00
	// noon must be a time such as '2026-11-21 04:20', 2026-11-21T04:20:00Z, 04:20 (today), yesterday, -10m or Unix seconds
}
