package envfile_test

import (
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/envfile"
)

// A line that systemd would ignore is a fault.
func ExampleParse() {
	list, faults := envfile.Parse("# the hub\nAWS_REGION=us-west-2\nAWS_IOT_CORE_THING_NAME=\"hub 1\"\nexport A=1\n")
	for _, a := range list {
		fmt.Printf("%s is %q\n", a.Name, a.Value)
	}
	for _, f := range faults {
		fmt.Println("wrong: line", f.Line)
	}
	// Output:
	// AWS_REGION is "us-west-2"
	// AWS_IOT_CORE_THING_NAME is "hub 1"
	// wrong: line 4
}
