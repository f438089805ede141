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
		fmt.Println(f)
	}
	// Output:
	// AWS_REGION is "us-west-2"
	// AWS_IOT_CORE_THING_NAME is "hub 1"
	// line 4: what stands before the = is not the name of a variable: only letters, digits and _, and no export
}
