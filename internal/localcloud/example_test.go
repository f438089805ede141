package localcloud_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
)

// An agent needs nothing but its environment to take the stand-in for AWS.
func ExampleStart() {
	dir, err := os.MkdirTemp("", "cloud")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cloud, err := localcloud.Start(localcloud.Options{Dir: dir})
	if err != nil {
		panic(err)
	}
	defer func() { _ = cloud.Close() }()

	arn, err := cloud.CreateStream("door", 24)
	if err != nil {
		panic(err)
	}
	fmt.Println(arn[:strings.LastIndex(arn, "/")])
	for _, v := range cloud.AgentEnv("hub-1") {
		if v.Name == "AWS_REGION" || v.Name == "AWS_IOT_CORE_THING_NAME" {
			fmt.Println(v)
		}
	}
	// Output:
	// arn:aws:kinesisvideo:us-west-2:123456789012:stream/door
	// AWS_REGION=us-west-2
	// AWS_IOT_CORE_THING_NAME=hub-1
}
