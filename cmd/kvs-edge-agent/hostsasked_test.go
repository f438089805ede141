package main

import (
	"bufio"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// refusingProxy notes which hosts a program wants to reach, and lets it reach none.
type refusingProxy struct {
	url string
	mu  sync.Mutex
	all map[string]bool
}

func newRefusingProxy(t *testing.T) *refusingProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &refusingProxy{url: "http://" + listener.Addr().String(), all: make(map[string]bool)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if request, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				p.mu.Lock()
				p.all[request.Host] = true
				p.mu.Unlock()
				_, _ = conn.Write([]byte("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"))
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return p
}

func (p *refusingProxy) hosts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.all))
}

const (
	credentialsHost = "c1.credentials.iot.us-west-2.amazonaws.com"
	dataHost        = "a1-ats.iot.us-west-2.amazonaws.com"
	variables       = "AWS_ENDPOINT_URL_KINESIS_VIDEO=https://vpce-1.kinesisvideo.us-west-2.vpce.amazonaws.com " +
		"AWS_ENDPOINT_URL_STS=https://STS.Example.com.:8443/path AWS_ENDPOINT_URL=https://all.example"
)

// hostsAsked has settings of a hub, the SDK's file, and the hosts that are reached with them: as they were written.
var hostsAsked = map[string]struct{ env, file, want string }{
	"standard": {"", "", credentialsHost + ":443 " + dataHost + ":443 kinesisvideo.us-west-2.amazonaws.com:443 " +
		"monitoring.us-west-2.amazonaws.com:443 secretsmanager.us-west-2.amazonaws.com:443 sts.us-west-2.amazonaws.com:443"},
	"dual-stack": {"AWS_USE_DUALSTACK_ENDPOINT=true", "", credentialsHost + ":443 " + dataHost + ":443 kinesisvideo.us-west-2.api.aws:443 " +
		"monitoring.us-west-2.api.aws:443 secretsmanager.us-west-2.amazonaws.com:443 sts.us-west-2.api.aws:443"},
	"China": {"AWS_REGION=cn-north-1 AWS_IOT_CORE_CREDENTIAL_ENDPOINT=c1.credentials.iot.cn-north-1.amazonaws.com.cn " +
		"AWS_IOT_CORE_DATA_ATS_ENDPOINT=a1.ats.iot.cn-north-1.amazonaws.com.cn", "", "a1.ats.iot.cn-north-1.amazonaws.com.cn:443 " +
		"c1.credentials.iot.cn-north-1.amazonaws.com.cn:443 kinesisvideo.cn-north-1.amazonaws.com.cn:443 " +
		"monitoring.cn-north-1.amazonaws.com.cn:443 secretsmanager.cn-north-1.amazonaws.com.cn:443 sts.cn-north-1.amazonaws.com.cn:443"},
	"GovCloud, FIPS": {"AWS_REGION=us-gov-west-1 AWS_USE_FIPS_ENDPOINT=TRUE " +
		"AWS_IOT_CORE_CREDENTIAL_ENDPOINT=C1.credentials.iot-fips.us-gov-west-1.amazonaws.com. " +
		"AWS_IOT_CORE_DATA_ATS_ENDPOINT=data.iot-fips.us-gov-west-1.amazonaws.com:8443", "",
		"C1.credentials.iot-fips.us-gov-west-1.amazonaws.com.:443 data.iot-fips.us-gov-west-1.amazonaws.com:8443 " +
			"kinesisvideo-fips.us-gov-west-1.amazonaws.com:443 monitoring.us-gov-west-1.amazonaws.com:443 " +
			"secretsmanager-fips.us-gov-west-1.amazonaws.com:443 sts.us-gov-west-1.amazonaws.com:443"},
	"FIPS where only some services have it": {"AWS_USE_FIPS_ENDPOINT=true", "", "monitoring-fips.us-west-2.amazonaws.com:443 " +
		"secretsmanager-fips.us-west-2.amazonaws.com:443 sts-fips.us-west-2.amazonaws.com:443"},
	"FIPS and addresses without": {"AWS_USE_FIPS_ENDPOINT=true " + variables, "", ""},
	"addresses": {variables, "[default]\nuse_dualstack_endpoint = true\nendpoint_url = https://file.example\n",
		"STS.Example.com.:8443 " + dataHost + ":443 all.example:443 " + credentialsHost + ":443 " +
			"vpce-1.kinesisvideo.us-west-2.vpce.amazonaws.com:443"},
	"addresses are ignored": {variables + " AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true", "", credentialsHost + ":443 " + dataHost + ":443 " +
		"kinesisvideo.us-west-2.amazonaws.com:443 monitoring.us-west-2.amazonaws.com:443 secretsmanager.us-west-2.amazonaws.com:443 " +
		"sts.us-west-2.amazonaws.com:443"},
	"SiteWise": {settings.EnvSiteWiseHub + "=" + siteWiseHub, "", "api.iotsitewise.us-west-2.amazonaws.com:443 " + credentialsHost +
		":443 data.iotsitewise.us-west-2.amazonaws.com:443 " + dataHost + ":443 kinesisvideo.us-west-2.amazonaws.com:443 " +
		"monitoring.us-west-2.amazonaws.com:443 secretsmanager.us-west-2.amazonaws.com:443 sts.us-west-2.amazonaws.com:443"},
	"SiteWise by a VPC endpoint": {settings.EnvSiteWiseHub + "=" + siteWiseHub + " AWS_ENDPOINT_URL_IOTSITEWISE=https://vpce-2.example:8443",
		"", credentialsHost + ":443 " + dataHost + ":443 kinesisvideo.us-west-2.amazonaws.com:443 monitoring.us-west-2.amazonaws.com:443 " +
			"secretsmanager.us-west-2.amazonaws.com:443 sts.us-west-2.amazonaws.com:443 vpce-2.example:8443"},
	"the SDK's file": {"AWS_USE_FIPS_ENDPOINT=false", "[default]\nuse_fips_endpoint = true\nuse_dualstack_endpoint = true\nservices = s\n" +
		"[services s]\nsecrets_manager =\n  endpoint_url = https://[2001:db8::1]:8443\n", "[2001:db8::1]:8443 " + dataHost + ":443 " +
		credentialsHost + ":443 kinesisvideo.us-west-2.api.aws:443 monitoring.us-west-2.api.aws:443 sts.us-west-2.api.aws:443"},
}

// TestWhichHostsAreAsked as a proxy sees it, which no part of the program can get around.
func TestWhichHostsAreAsked(t *testing.T) {
	t.Parallel()
	cloud, err := localcloud.Start(localcloud.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cloud.Close() })
	if err := cloud.AddThing(testThing); err != nil {
		t.Fatal(err)
	}
	for name, row := range hostsAsked {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, dir := newRefusingProxy(t), t.TempDir()
			file := filepath.Join(dir, "config")
			if err := os.WriteFile(file, []byte(row.file), 0o600); err != nil {
				t.Fatal(err)
			}
			env := []string{"HTTPS_PROXY=" + proxy.url, "AWS_CONFIG_FILE=" + file, settings.EnvCloudWatchEnabled + "=TRUE",
				settings.EnvRecordingDirectory + "=" + dir, settings.EnvStateDirectory + "=" + dir, settings.EnvLogOutputDirectory + "=" + dir}
			for _, v := range cloud.AgentEnv(testThing) {
				if !strings.HasPrefix(v.Name, "AWS_ENDPOINT_URL") {
					env = append(env, v.Name+"="+v.Value)
				}
			}
			env = append(env, settings.EnvCredentialEndpoint+"="+credentialsHost, settings.EnvDataEndpoint+"="+dataHost)
			output, _ := checkHub(t, append(env, strings.Fields(row.env)...))
			want := strings.Fields(row.want)
			slices.Sort(want)
			if got := proxy.hosts(); !slices.Equal(got, want) {
				t.Errorf("asked\n  %s\nwant\n  %s\n%s", strings.Join(got, " "), strings.Join(want, " "), output)
			}
		})
	}
}
