package scheduler_test

import (
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
)

func ExampleParse() {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	working, err := scheduler.Parse("0 0 9-16 ? * MON-FRI", berlin)
	if err != nil {
		panic(err)
	}
	fmt.Println(scheduler.Describe(working))
	friday := time.Date(2026, 5, 1, 16, 30, 0, 0, berlin)
	fmt.Println(working.Next(friday))

	_, err = scheduler.Parse("0 0 25 * * ?", berlin)
	fmt.Println(err)
	// Output:
	// every hour from 9:00 to 16:00, Monday to Friday
	// 2026-05-04 09:00:00 +0200 CEST
	// hours "25" (character 5): hours must be 0 to 23
}

// A window is open from each time at which the expression fires, for its length.
func ExampleWindows() {
	nine, err := scheduler.Parse("0 0 9 * * ?", time.UTC)
	if err != nil {
		panic(err)
	}
	plan := scheduler.Windows(nine, 30*time.Minute)
	for _, minute := range []int{0, 29, 30} {
		open, until := plan.At(time.Date(2026, 11, 21, 9, minute, 0, 0, time.UTC), time.UTC)
		fmt.Println(open, until.Format(time.DateTime))
	}
	// Output:
	// true 2026-11-21 09:30:00
	// true 2026-11-21 09:30:00
	// false 2026-11-22 09:00:00
}
