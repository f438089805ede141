package edgeconfig

import (
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/arn"
)

// Hub is what a HubDeviceArn names: the IoT thing of one hub.
type Hub struct{ Partition, Region, Account, Thing string }

// ParseHub takes a HubDeviceArn apart: arn:aws:iot:us-west-2:123456789012:thing/my-hub.
func ParseHub(text string) (Hub, error) {
	m := hubPattern.FindStringSubmatch(text)
	if m == nil || len(text) > MaxHubDeviceArn {
		return Hub{}, fmt.Errorf("%s is not the ARN of an IoT thing: it looks like arn:aws:iot:us-west-2:123456789012:thing/my-hub", quote(text))
	}
	return Hub{Partition: m[1], Region: m[2], Account: m[3], Thing: m[4]}, nil
}

// ARN puts it together again.
func (h Hub) ARN() string {
	return arn.ARN{Partition: h.Partition, Service: "iot", Region: h.Region, Account: h.Account, Resource: "thing/" + h.Thing}.String()
}

// HubARN returns the HubDeviceArn of a thing. The partition follows from the region.
func HubARN(region, account, thing string) string {
	return Hub{Partition: arn.PartitionOf(region).ID, Region: region, Account: account, Thing: thing}.ARN()
}
