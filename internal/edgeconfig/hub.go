package edgeconfig

import (
	"fmt"
	"strings"
)

// Hub is what a HubDeviceArn names: the IoT thing of one hub.
type Hub struct{ Partition, Region, Account, Thing string }

// ParseHub takes a HubDeviceArn apart: arn:aws:iot:us-west-2:123456789012:thing/my-hub.
func ParseHub(arn string) (Hub, error) {
	m := hubPattern.FindStringSubmatch(arn)
	if m == nil || len(arn) > MaxHubDeviceArn {
		return Hub{}, fmt.Errorf("%s is not the ARN of an IoT thing: it looks like arn:aws:iot:us-west-2:123456789012:thing/my-hub", quote(arn))
	}
	return Hub{Partition: m[1], Region: m[2], Account: m[3], Thing: m[4]}, nil
}

// ARN puts it together again.
func (h Hub) ARN() string {
	return "arn:" + h.Partition + ":iot:" + h.Region + ":" + h.Account + ":thing/" + h.Thing
}

// HubARN returns the HubDeviceArn of a thing. The partition follows from the region.
func HubARN(region, account, thing string) string {
	return Hub{Partition: Partition(region), Region: region, Account: account, Thing: thing}.ARN()
}

// Partition returns the first part of all ARNs of a region.
// Source: AWS General Reference, Amazon Resource Names, partitions.
func Partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	default:
		return "aws"
	}
}
