package kvs

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	location "github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// TestWithFIPSMediaGoesToFIPSHostsAlone as GetDataEndpoint named them, and a host of another kind is asked for again.
func TestWithFIPSMediaGoesToFIPSHostsAlone(t *testing.T) {
	t.Parallel()
	const (
		other = "https://s-1a2b3c4d.kinesisvideo.us-gov-west-1.amazonaws.com"
		good  = "https://s-1a2b3c4d.kinesisvideo-fips.us-gov-west-1.api.aws"
	)
	var media atomic.Pointer[string]
	_, cfg := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"DataEndpoint":%q}`, *media.Load()) })
	c := New(Options{Config: awsclient.Of(cfg)})
	for _, fips := range []bool{false, true} {
		config, err := awsclient.Load(t.Context(), awsclient.Options{Region: "us-gov-west-1",
			Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
			Endpoints:   location.Options{Choices: location.Choices{FIPS: fips, DualStack: true}}})
		must(t, err)
		c.config = config // the hosts that it has; the requests go to the server
		for _, host := range []string{other, good, other} {
			c.InvalidateEndpoint("door")
			media.Store(&host)
			got, err := c.DataEndpoint(t.Context(), "door")
			var fault *health.Fault
			switch refused := fips && host == other; {
			case refused && (!errors.As(err, &fault) || fault.Class != health.UserError || fault.Code != location.Code ||
				!strings.Contains(fault.Text, "GetDataEndpoint") || !strings.Contains(fault.Text, strings.TrimPrefix(other, "https://"))):
				t.Errorf("FIPS %v, %s: got %s, %v", fips, host, got, err)
			case !refused && (err != nil || got != host):
				t.Errorf("FIPS %v: got %s, %v, want %s as it was named", fips, got, err, host)
			}
		}
	}
}
