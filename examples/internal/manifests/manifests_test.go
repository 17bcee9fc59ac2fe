package manifests

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const examples = "../../kubernetes/"

// decode reads manifests as the API server does with strict validation: a
// field that it does not know, one given twice or of the wrong type is an
// error.
func decode(manifests []byte) ([]runtime.Object, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(admissionv1.AddToScheme(scheme), appsv1.AddToScheme(scheme), batchv1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	decoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme,
		json.SerializerOptions{Yaml: true, Strict: true})
	documents := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(manifests)))
	var objects []runtime.Object
	for {
		buf := make([]byte, 1<<20)
		n, err := documents.Read(buf)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		object, _, err := decoder.Decode(buf[:n], nil, nil)
		if err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
}

// objectsOf are those of the manifests in a file of the examples.
func objectsOf(t *testing.T, file string) []runtime.Object {
	t.Helper()
	manifests, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := decode(manifests)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return objects
}

func TestManifestsAreOfTheAPI(t *testing.T) {
	want := map[string][]string{
		"cronjob.yaml":             {"CronJob"},
		"deployment.yaml":          {"Deployment"},
		"deployment-install.yaml":  {"Deployment"},
		"inject/image-volume.yaml": {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"},
		"inject/install.yaml":      {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"},
		"inject/refuse.yaml": {
			"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
			"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
		},
	}
	files, _ := filepath.Glob(examples + "*.yaml")
	inject, _ := filepath.Glob(examples + "*/*.yaml")
	if got := len(files) + len(inject); got != len(want) {
		t.Errorf("got %d manifests, want %d", got, len(want))
	}
	for file, want := range want {
		var kinds []string
		for _, o := range objectsOf(t, examples+file) {
			kinds = append(kinds, o.GetObjectKind().GroupVersionKind().Kind)
		}
		if !slices.Equal(kinds, want) {
			t.Errorf("%s: got %v, want %v", file, kinds, want)
		}
	}
}

func TestDecodingIsStrict(t *testing.T) {
	for name, change := range map[string][2]string{
		"unknown field": {"readOnlyRootFilesystem:", "readOnlyRootFileSystem:"},
		"wrong type":    {"replicas: 2", "replicas: two"},
		"given twice":   {"replicas: 2", "replicas: 2\n  replicas: 3"},
	} {
		t.Run(name, func(t *testing.T) {
			manifests, err := os.ReadFile(examples + "deployment.yaml")
			if err != nil {
				t.Fatal(err)
			}
			changed := bytes.ReplaceAll(manifests, []byte(change[0]), []byte(change[1]))
			if bytes.Equal(manifests, changed) {
				t.Fatalf("%q is not in the manifests", change[0])
			}
			if _, err := decode(changed); err == nil {
				t.Errorf("got no error for %q", change[1])
			}
		})
	}
}

// pods are the pod specs of the examples, by file.
func pods(t *testing.T) map[string]corev1.PodSpec {
	t.Helper()
	deployment := func(file string) corev1.PodSpec {
		return objectsOf(t, examples+file)[0].(*appsv1.Deployment).Spec.Template.Spec
	}
	return map[string]corev1.PodSpec{
		"deployment.yaml":         deployment("deployment.yaml"),
		"deployment-install.yaml": deployment("deployment-install.yaml"),
		"cronjob.yaml":            objectsOf(t, examples+"cronjob.yaml")[0].(*batchv1.CronJob).Spec.JobTemplate.Spec.Template.Spec,
	}
}

func TestEveryContainerIsRestrictedAndPinned(t *testing.T) {
	for file, pod := range pods(t) {
		if p := pod.SecurityContext; !*p.RunAsNonRoot || *p.RunAsUser == 0 || p.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: got pod security context %v", file, p)
		}
		for _, c := range append(pod.InitContainers, pod.Containers...) {
			s := c.SecurityContext
			if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
				t.Errorf("%s: %s: got security context %v", file, c.Name, s)
			}
			if _, tag, _ := strings.Cut(c.Image, ":"); tag == "" || c.ImagePullPolicy != corev1.PullIfNotPresent {
				t.Errorf("%s: %s: got image %s, %s", file, c.Name, c.Image, c.ImagePullPolicy)
			}
			if c.TerminationMessagePolicy != corev1.TerminationMessageFallbackToLogsOnError {
				t.Errorf("%s: %s: kubectl describe would not tell why it ended", file, c.Name)
			}
		}
	}
}

// A container that is killed while a human is asked asks again.
func TestProbeIsLongerThanTheWaitForAnApproval(t *testing.T) {
	const waits = 60*time.Second + 10*time.Minute // ASS_TIMEOUT and ASS_APPROVAL_TIMEOUT
	for _, file := range []string{"deployment.yaml", "deployment-install.yaml"} {
		spec := objectsOf(t, examples+file)[0].(*appsv1.Deployment).Spec
		probe := spec.Template.Spec.Containers[0].StartupProbe
		start := time.Duration(probe.PeriodSeconds*probe.FailureThreshold) * time.Second
		progress := time.Duration(*spec.ProgressDeadlineSeconds) * time.Second
		if start < waits+30*time.Second || progress < start+30*time.Second {
			t.Errorf("%s: got %s for the startupProbe and %s for progress, want more than %s and each other", file, start, progress, waits)
		}
	}
}
