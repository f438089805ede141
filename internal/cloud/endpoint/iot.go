package endpoint

import "strings"

// IoT says which endpoint of AWS IoT a host is by its name, IoTCredentials or IoTData, and in which region; nil for any
// other host, such as a domain of one's own.
// Source: AWS General Reference, "AWS IoT Core endpoints"; IoT API, DescribeEndpoint.
func IoT(host string) (s *Service, region string) {
	labels, region := split(plain(host))
	switch labels = strings.TrimSuffix(labels, "-fips"); {
	case strings.HasSuffix(labels, ".credentials.iot"):
		return IoTCredentials, region
	case strings.HasSuffix(labels, ".iot"):
		return IoTData, region
	default:
		return nil, ""
	}
}
