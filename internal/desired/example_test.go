package desired_test

import (
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
)

// A stream whose configuration changed is started again; one that nobody wants stops, last.
func ExampleReconcile() {
	door := desired.Stream{Name: "door", Record: desired.Always(), Version: desired.VersionOf(time.Unix(1, 0)), Origin: desired.File}
	yard := desired.Stream{Name: "yard", Record: desired.Always(), Origin: desired.File}
	gate := desired.Stream{Name: "gate", Record: desired.Always(), Origin: desired.File}
	changed := door
	changed.Record, changed.Version = desired.Hourly(), desired.VersionOf(time.Unix(2, 0))
	words := map[desired.Action]string{
		desired.Start: "starts", desired.Change: "starts again", desired.Continue: "continues", desired.Stop: "stops",
	}
	for _, step := range desired.Reconcile(desired.SetOf(door, yard), desired.SetOf(changed, gate)) {
		fmt.Println(step.Stream.Name, words[step.Action])
	}
	// Output:
	// door starts again
	// gate starts
	// yard stops
}
