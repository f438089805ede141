package preflight

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/hub"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// hostFaults says what the names of the endpoints show to be wrong, without any question to the network.
func hostFaults(s settings.Settings) (faults []string) {
	const credentialType, dataType = "`aws iot describe-endpoint --endpoint-type iot:CredentialProvider`",
		"`aws iot describe-endpoint --endpoint-type iot:Data-ATS`"
	credentials, data := s.IoT.CredentialEndpoint, s.IoT.DataEndpoint
	isCredentials, ofCredentials := endpoint.IoT(credentials)
	isData, ofData := endpoint.IoT(data)
	wrongCredentials, wrongData := isCredentials == endpoint.IoTData, isData == endpoint.IoTCredentials
	switch {
	case wrongCredentials && wrongData:
		faults = append(faults, fmt.Sprintf("%s and %s are exchanged: each has the value of the other.", settings.EnvCredentialEndpoint,
			settings.EnvDataEndpoint))
	case wrongCredentials:
		faults = append(faults, fmt.Sprintf("%s is %s, the endpoint of MQTT: set it to what %s shows.", settings.EnvCredentialEndpoint,
			credentials,
			credentialType))
	case wrongData:
		faults = append(faults, fmt.Sprintf("%s is %s, the endpoint of credentials: set it to what %s shows.", settings.EnvDataEndpoint, data,
			dataType))
	}
	differs := func(region string) bool { return region != "" && region != s.Region }
	switch {
	case differs(ofCredentials) && ofCredentials == ofData:
		faults = append(faults, fmt.Sprintf("%s is %s, but both endpoints of AWS IoT are in %s: correct %s, or the endpoints.",
			settings.EnvRegion,
			s.Region, ofData, settings.EnvRegion))
	default:
		if differs(ofCredentials) {
			faults = append(faults, fmt.Sprintf("%s is in %s, but %s is %s: correct one of them.", settings.EnvCredentialEndpoint, ofCredentials,
				settings.EnvRegion, s.Region))
		}
		if differs(ofData) {
			faults = append(faults, fmt.Sprintf("%s is in %s, but %s is %s: correct one of them.", settings.EnvDataEndpoint, ofData,
				settings.EnvRegion, s.Region))
		}
	}
	return faults
}

// checkHosts reports whether the endpoints are worth asking.
func (c *checker) checkHosts() bool {
	if strings.Contains(c.settings.IoT.ThingName, ":") {
		c.bad("settings", fmt.Sprintf("%s is %q, but HubDeviceArn and the policies of AWS IoT do not match names with a colon: "+
			"create a thing without one.",
			settings.EnvThingName, c.settings.IoT.ThingName))
	}
	faults := hostFaults(c.settings)
	for _, text := range faults {
		c.bad("endpoint", text)
	}
	c.showHosts()
	return len(faults) == 0
}

// showHosts reports each host that the agent will use, and why this one.
func (c *checker) showHosts() {
	const check = "host"
	c.refused = make(map[*endpoint.Service]bool)
	for _, host := range append(hub.Hosts(c.settings), hub.GivenHosts(c.settings)...) {
		if host.Refused != nil {
			c.refused[host.Place.Service] = true
			c.bad(check, sentence(host.Refused))
			continue
		}
		c.good(check, fmt.Sprintf("%s: %s (%s).", host.Place.Service.Name, host.Host(), host.Why))
	}
	if exchange := c.settings.IoT.TokenExchange.URL; exchange != "" {
		c.good(check, fmt.Sprintf("Credentials of Greengrass: %s (from %s).", exchange, settings.EnvTokenExchange))
	}
	c.good(check, "Kinesis Video Streams (media): the host that GetDataEndpoint returns for each stream.")
}

// checkAccount compares the account of the settings with that of the hub's credentials. It reports whether the hub's
// ARN can be right.
func (c *checker) checkAccount(ctx context.Context) bool {
	if c.settings.AccountID == "" {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout/2)
	defer cancel()
	defer c.questions.begin("STS, about the hub's account")()
	account, err := hub.Account(ctx, c.aws)
	switch {
	case err != nil:
		why := "STS does not answer"
		if fault := (*health.Fault)(nil); errors.As(err, &fault) && fault.Code == endpoint.Code {
			why = "STS may not be asked where the settings place it"
		}
		c.good("account", fmt.Sprintf("%s is %s, which could not be compared, as %s.", settings.EnvAccountID, c.settings.AccountID, why))
	case account != c.settings.AccountID:
		c.bad("account", fmt.Sprintf("%s is %s, but the hub's credentials are of the account %s: correct or remove it.", settings.EnvAccountID,
			c.settings.AccountID, account))
		return false
	default:
		c.good("account", fmt.Sprintf("The hub's credentials are of the account %s, as %s says.", account, settings.EnvAccountID))
	}
	return true
}
