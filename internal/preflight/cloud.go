package preflight

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/hub"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/iotconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// checkEndpoints probes every endpoint, and compares the hub's clock with theirs.
func (c *checker) checkEndpoints(ctx context.Context) {
	if c.settings.IoT.TokenExchange.URL == "" && !c.refused[endpoint.IoTCredentials] { // Greengrass would count a probe as a refused request
		device := awsclient.Device(awsclient.DeviceOptions{TLS: c.device, Timeout: stepTimeout, Version: c.o.Version})
		c.probeEndpoint(ctx, hub.Service{
			Name: "credentials", URL: "https://" + c.settings.IoT.CredentialEndpoint, Setting: settings.EnvCredentialEndpoint, Device: true,
		}, device)
	}
	compare := func() { c.bad("clock", "The hub's clock cannot be compared with AWS's, as no endpoint answers.") }
	compared := false
	for _, host := range hub.Hosts(c.settings) {
		if host.Refused != nil {
			continue // checkHosts said so
		}
		if date := c.probeEndpoint(ctx, host.Service(), c.aws.HTTP()); !date.IsZero() && !compared {
			now := c.o.Now()
			compare = func() { c.checkClock(host.Place.Service.Name, date, now) }
			compared = true
		}
	}
	compare()
	c.checkBroker(ctx)
}

// probeEndpoint makes a request without credentials: any answer shows that DNS, TLS and the route are
// good. It returns the answer's Date.
func (c *checker) probeEndpoint(ctx context.Context, s hub.Service, client *http.Client) time.Time {
	const check = "endpoint"
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/", nil)
	if err != nil {
		c.bad(check, fmt.Sprintf("The endpoint %q of %s is not a URL: correct it.", s.URL, s.Name))
		return time.Time{}
	}
	done := c.questions.begin(s.Name + " at " + request.URL.Host)
	response, err := client.Do(request)
	done()
	if err != nil {
		c.bad(check, s.Unreachable(request.URL.Host, err).Text)
		return time.Time{}
	}
	_ = response.Body.Close()
	c.good(check, fmt.Sprintf("%s answers at %s; its name and certificate are good.", s.Name, request.URL.Host))
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return time.Time{} // not every proxy has one
	}
	return date
}

func (c *checker) checkClock(name string, date, now time.Time) {
	const check = "clock"
	ahead := now.Sub(date)
	direction := hubclock.Direction(ahead)
	switch off := ahead.Abs().Round(time.Second); {
	case off > hubclock.MaxSkew:
		c.bad(check, fmt.Sprintf("The hub's clock is %s %s that of %s. Requests are dated by AWS's clock, but recordings by the hub's: set the "+
			"clock, and check its time synchronisation (NTP).", off, direction, name))
	case off > 2*time.Second: // a Date has whole seconds
		c.good(check, fmt.Sprintf("The hub's clock is %s %s that of %s, which AWS tolerates; recordings are dated by it.", off, direction, name))
	default:
		c.good(check, fmt.Sprintf("The hub's clock agrees with that of %s.", name))
	}
}

// checkBroker asks a running agent whether it is connected, since a thing has one connection only.
func (c *checker) checkBroker(ctx context.Context) {
	const check = "mqtt"
	if c.settings.IoT.NoThing != "" {
		c.good(check, iotconfig.WithoutThing(c.settings.IoT.NoThing))
		return
	}
	if c.device == nil {
		c.good(check, iotconfig.WithoutMQTT(c.settings.IoT.NoCertificate, kvsconfig.ListOnlyWithin))
		return
	}
	if c.refused[endpoint.IoTData] {
		return // checkHosts said so
	}
	ctx, cancel := context.WithTimeout(ctx, 2*stepTimeout)
	defer cancel()
	if c.running != nil {
		for _, condition := range c.running.Agent {
			if iotconfig.IsBrokerCondition(condition.Condition) {
				c.withoutCloud(check, condition.Text)
				return
			}
		}
	}
	defer c.questions.begin("MQTT at " + c.settings.IoT.DataEndpoint)()
	asked := time.Now()
	err := iotconfig.Probe(ctx, iotconfig.ProbeOptions{
		ThingName: c.settings.IoT.ThingName, ClientID: c.settings.IoT.ClientID, DataEndpoint: c.settings.IoT.DataEndpoint,
		Version: c.o.Version, TLS: c.device, DialOnly: c.mayRun,
	})
	switch {
	case err != nil:
		c.withoutCloud(check, answerFault(err, "MQTT at "+c.settings.IoT.DataEndpoint, time.Since(asked)))
	case c.running != nil:
		c.good(check, "The running agent is connected to "+c.settings.IoT.DataEndpoint+".")
	case c.mayRun:
		c.good(check, "MQTT answers at "+c.settings.IoT.DataEndpoint+"; "+
			"more is not tried, as that would end the connection of the agent that may run.")
	default:
		c.good(check, "Connected to "+c.settings.IoT.DataEndpoint+" as "+c.settings.IoT.ClientID+" and subscribed to its configurations.")
	}
}

// withoutCloud reports what keeps the hub from configurations of the cloud. With stream files it does without them.
func (c *checker) withoutCloud(check, text string) {
	switch {
	case c.files == 0 && c.settings.SiteWise.HubAsset == "":
		c.bad(check, text)
		return
	case c.files == 0:
		c.good(check, "The hub follows AWS IoT SiteWise alone. "+text)
		return
	}
	c.good(check, "The hub follows its stream files alone. "+text)
}

// checkCloud gets credentials and lists the hub's configurations. It returns nil when it cannot.
func (c *checker) checkCloud(ctx context.Context) []kvsconfig.ListedConfig {
	notAsked := func(what string) {
		c.bad("streams", "Configurations, secrets, cameras and retention were not checked: they need "+what+".")
	}
	ctx, cancel := context.WithTimeout(ctx, 3*stepTimeout)
	defer cancel()
	done := c.questions.begin("credentials for the hub")
	asked := time.Now()
	got, err := c.aws.Credentials().Retrieve(ctx)
	done()
	if err != nil {
		c.bad("credentials", answerFault(err, "the endpoint of credentials", time.Since(asked)))
		notAsked("credentials")
		return nil
	}
	provider := "The role alias " + c.settings.IoT.RoleAlias
	if c.settings.IoT.TokenExchange.URL != "" {
		provider = "The token exchange service of Greengrass"
	}
	c.good("credentials", fmt.Sprintf("%s provides credentials, to be renewed from %s.", provider, humanize.Time(got.Expires.Local())))
	c.checkMetricsRight(ctx)
	if c.settings.IoT.NoThing != "" {
		return nil // checkBroker said so
	}
	defer c.questions.begin("the hub's configurations, from Kinesis Video Streams")()
	if !c.checkAccount(ctx) {
		notAsked("the hub's ARN")
		return nil
	}
	arn, err := hub.FindARN(c.settings, c.aws)(ctx)
	if err != nil {
		c.bad("account", sentence(err))
		notAsked("the hub's ARN")
		return nil
	}
	list, err := hub.ControlPlane{Client: c.kvs, Config: c.aws}.EdgeConfigs(ctx, arn)
	if err != nil {
		c.withoutCloud("streams", c.withPolicy(sentence(err), err))
		return nil
	}
	if len(list) == 0 && (c.files > 0 || c.settings.SiteWise.HubAsset != "") {
		c.good("streams", "No stream is configured in the cloud for "+arn+".")
		return nil
	}
	if len(list) == 0 {
		c.good("streams", "No stream is configured for "+arn+" yet: StartEdgeConfigurationUpdate with this HubDeviceArn does it.")
		return nil
	}
	are := "are"
	if len(list) == 1 {
		are = "is"
	}
	c.good("streams", fmt.Sprintf("%s %s configured for %s.", humanize.Count(len(list), "stream"), are, arn))
	return list
}
