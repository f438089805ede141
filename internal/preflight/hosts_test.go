package preflight

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

const (
	credentialsOfOregon = "c2k.credentials.iot.us-west-2.amazonaws.com"
	dataOfOregon        = "a1b-ats.iot.us-west-2.amazonaws.com"
)

func TestHostsSayWhichSettingIsWrong(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ region, credentials, data, says string }{
		"good":              {"us-west-2", credentialsOfOregon, dataOfOregon, ""},
		"a port of its own": {"us-west-2", credentialsOfOregon + ":443", dataOfOregon + ":8883", ""},
		"China": {"cn-north-1", "c2k.credentials.iot.cn-north-1.amazonaws.com.cn", "a1b.ats.iot.cn-north-1.amazonaws.com.cn",
			""},
		"China, dual-stack": {"cn-north-1", "c2k.credentials.iot.cn-north-1.api.amazonwebservices.com.cn",
			"a1b-ats.iot.cn-north-1.api.amazonwebservices.com.cn", ""},
		"GovCloud, FIPS": {"us-gov-west-1", "c2k.credentials.iot-fips.us-gov-west-1.amazonaws.com",
			"data.iot-fips.us-gov-west-1.amazonaws.com", ""},
		"dual-stack of another region": {"us-west-2", "c2k.credentials.iot.us-west-2.api.aws", "a1b-ats.iot.eu-west-1.api.aws",
			"AWS_IOT_CORE_DATA_ATS_ENDPOINT is in eu-west-1, but AWS_REGION is us-west-2: correct one of them."},
		"China from elsewhere": {"us-west-2", "c2k.credentials.iot.cn-north-1.amazonaws.com.cn",
			"a1b.ats.iot.cn-north-1.amazonaws.com.cn", "AWS_REGION is us-west-2"},
		"a stand-in":            {"us-west-2", "127.0.0.1:8443", "127.0.0.1:8883", ""},
		"a domain of one's own": {"us-west-2", "credentials.example.com", "mqtt.example.com", ""},
		"exchanged": {"us-west-2", dataOfOregon, credentialsOfOregon,
			"AWS_IOT_CORE_CREDENTIAL_ENDPOINT and AWS_IOT_CORE_DATA_ATS_ENDPOINT are exchanged: each has the value of the other."},
		"MQTT twice": {"us-west-2", dataOfOregon, dataOfOregon,
			"AWS_IOT_CORE_CREDENTIAL_ENDPOINT is " + dataOfOregon + ", the endpoint of MQTT: " +
				"set it to what `aws iot describe-endpoint --endpoint-type iot:CredentialProvider` shows."},
		"credentials twice": {"us-west-2", credentialsOfOregon, credentialsOfOregon,
			"AWS_IOT_CORE_DATA_ATS_ENDPOINT is " + credentialsOfOregon + ", the endpoint of credentials: " +
				"set it to what `aws iot describe-endpoint --endpoint-type iot:Data-ATS` shows."},
		"another region": {"eu-west-1", credentialsOfOregon, dataOfOregon,
			"AWS_REGION is eu-west-1, but both endpoints of AWS IoT are in us-west-2: correct AWS_REGION, or the endpoints."},
		"one of another region": {"us-west-2", credentialsOfOregon, "a1b-ats.iot.eu-west-1.amazonaws.com",
			"AWS_IOT_CORE_DATA_ATS_ENDPOINT is in eu-west-1, but AWS_REGION is us-west-2: correct one of them."},
		"the other of another": {"us-west-2", "c2k.credentials.iot.eu-west-1.amazonaws.com", dataOfOregon,
			"AWS_IOT_CORE_CREDENTIAL_ENDPOINT is in eu-west-1, but AWS_REGION is us-west-2: correct one of them."},
		"exchanged, FIPS": {"us-east-1", "data.iot-fips.us-east-1.amazonaws.com", "data.credentials.iot-fips.us-east-1.amazonaws.com",
			"are exchanged: each has the value of the other."},
		"exchanged, with capitals and dots": {"us-west-2", strings.ToUpper(dataOfOregon[:10]) + dataOfOregon[10:] + ".",
			credentialsOfOregon + ".",
			"are exchanged: each has the value of the other."},
		"VPC endpoint of another region": {"us-west-2", credentialsOfOregon, "vpce-1-2.data.iot.eu-west-1.vpce.amazonaws.com",
			"AWS_IOT_CORE_DATA_ATS_ENDPOINT is in eu-west-1"},
		"exchanged and elsewhere": {"eu-west-1", dataOfOregon, credentialsOfOregon,
			"exchanged: each has the value of the other.\nAWS_REGION is eu-west-1, but both"},
	} {
		got := strings.Join(hostFaults(settings.Settings{Region: row.region, IoT: settings.IoT{CredentialEndpoint: row.credentials,
			DataEndpoint: row.data}}), "\n")
		if (got == "") != (row.says == "") || !strings.Contains(got, row.says) {
			t.Errorf("%s: it says %q, want %q", name, got, row.says)
		}
	}
}

// TestACheckAsksNoHostThatIsNamedWrongly says what is wrong at once, where each question would end in a time-out.
func TestACheckAsksNoHostThatIsNamedWrongly(t *testing.T) {
	h := newRig(t)
	h.Env[settings.EnvCredentialEndpoint], h.Env[settings.EnvDataEndpoint] = dataOfOregon, credentialsOfOregon
	h.Env[settings.EnvThingName] = "site:7"
	watch := testtools.Stopwatch(t)
	all, ok := h.check()
	if took := watch(); ok || took > 10*time.Second {
		t.Errorf("ok is %v, after %v", ok, took)
	}
	for _, want := range []string{"are exchanged", "AWS_IOT_CORE_THING_NAME is \"site:7\"", "correct the endpoints first"} {
		if strings.Count(all.bad(), want) != 1 {
			t.Errorf("%q is not said once:\n%s", want, all.bad())
		}
	}
	if strings.Contains(all.bad(), "firewall") {
		t.Errorf("the firewall is blamed:\n%s", all.bad())
	}
}

// TestACheckComparesWithThisHub what its settings say of account, ports, socket and disk.
func TestACheckComparesWithThisHub(t *testing.T) {
	h := newRig(t)
	taken, err := net.Listen("tcp", ownHost+":0")
	must(t, err)
	defer func() { _ = taken.Close() }()
	file := filepath.Join(h.Dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	stranger := filepath.Join(h.Dir, "stranger.sock")
	other, err := net.Listen("unix", stranger)
	must(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })}
	go func() { _ = server.Serve(other) }()
	defer func() { _ = server.Close() }()
	for name, row := range map[string]struct {
		variable, value string
		says            string // "": nothing is wrong
	}{
		"another account": {settings.EnvAccountID, "999999999999",
			"account: AWS_KVS_EDGE_ACCOUNT_ID is 999999999999, but the hub's credentials are of the account " + localcloud.Account},
		"its account": {settings.EnvAccountID, localcloud.Account, ""},
		"an address in use": {settings.EnvMetricsAddress, taken.Addr().String(),
			"ports: AWS_KVS_EDGE_METRICS_ADDRESS is " + taken.Addr().String() + ", on which another process listens"},
		"an address of others":  {settings.EnvMetricsAddress, "192.0.2.1:9464", "on which this hub cannot listen"},
		"a free address":        {settings.EnvMetricsAddress, testtools.HeldAddress(t, ownHost), ""},
		"a file for the socket": {settings.EnvSocket, file, "ports: AWS_KVS_EDGE_SOCKET names " + file + ", which exists and is not a socket"},
		"another's socket": {settings.EnvSocket, stranger,
			"agent: What answers on " + stranger + " is not this agent: stop it, or choose another AWS_KVS_EDGE_SOCKET."},
		"a reserve above the disk": {settings.EnvMinFreeDisk, "200GB", "disk: AWS_KVS_EDGE_MIN_FREE_DISK keeps 200.0 GB free, but the disk with"},
		"a reserve above the rest": {settings.EnvMinFreeDisk, "95GB", ""}, // something else may fill the disk
		"recordings in /proc": {settings.EnvRecordingDirectory, "/proc/self",
			"is on a file system of the kind proc, on which nothing can be recorded"},
	} {
		t.Run(name, func(t *testing.T) {
			old, had := h.Env[row.variable]
			h.Env[row.variable] = row.value
			defer func() {
				if h.Env[row.variable] = old; !had {
					delete(h.Env, row.variable)
				}
			}()
			all, ok := h.check()
			if ok != (row.says == "") || !strings.Contains(all.bad(), row.says) {
				t.Errorf("want %q:\n%s", row.says, all)
			}
		})
	}
}

func TestARunningAgentsOwnPortIsFree(t *testing.T) {
	h := newRig(t)
	h.Env[settings.EnvMetricsAddress] = testtools.HeldAddress(t, ownHost)
	h.run(agent.Options{})
	h.awaitRunning()
	if all, ok := h.check(); !ok {
		t.Errorf("the running agent's own port is found taken:\n%s", all.bad())
	}
}

func TestAFullDiskIsNotTheFaultOfTheUsualReserve(t *testing.T) {
	t.Parallel()
	var found Finding
	o := Options{Now: time.Now, Report: func(f Finding) { found = f }, diskFree: func(string) (uint64, uint64, error) {
		return 0,
			100e9, nil
	}}
	c := &checker{o: o, settings: settings.Settings{RecordingDirectory: t.TempDir()}}
	c.checkDisk(nil)
	if strings.Contains(found.Text, settings.EnvMinFreeDisk) {
		t.Errorf("it says %q", found.Text)
	}
}
