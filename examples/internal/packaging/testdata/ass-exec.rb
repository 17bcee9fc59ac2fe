class AssExec < Formula
  desc "Start a command with secrets from Agent Secret Store in its environment"
  homepage "https://github.com/agent-secret-store/ass-exec"
  version "1.2.3"
  license all_of: ["MIT", "MPL-2.0", "BSD-3-Clause"]

  on_macos do
    on_arm do
      url "https://github.com/agent-secret-store/ass-exec/releases/download/v1.2.3/ass-exec-darwin-arm64"
      sha256 "2173f6aec92bf04a07fb5c02aca5684155ee0acbca8468cb5d07aa793636ebd4"
    end
    on_intel do
      url "https://github.com/agent-secret-store/ass-exec/releases/download/v1.2.3/ass-exec-darwin-amd64"
      sha256 "000899001ec08fa594452fd29707e9e6436797e1a88379e2c4773a3d1532749c"
    end
  end

  on_linux do
    on_arm do
      url "https://github.com/agent-secret-store/ass-exec/releases/download/v1.2.3/ass-exec-linux-arm64"
      sha256 "dee13dd5679119f1954667f019a10a005de07a4daad9de562644052561d17999"
    end
    on_intel do
      url "https://github.com/agent-secret-store/ass-exec/releases/download/v1.2.3/ass-exec-linux-amd64"
      sha256 "b99eed168064d8b961afd046b3a8ab98b816846560bf264f62fda4e3b0392070"
    end
  end

  resource "share" do
    url "https://github.com/agent-secret-store/ass-exec/releases/download/v1.2.3/ass-exec-share.tar.gz"
    sha256 "SUM OF SHARE"
  end

  def install
    bin.install Dir["ass-exec-*"].first => "ass-exec"
    chmod 0755, bin/"ass-exec" # a download has no mode
    resource("share").stage do
      man1.install "ass-exec.1"
      man5.install "ass.env.5"
      bash_completion.install "ass-exec"
      zsh_completion.install "_ass-exec"
      fish_completion.install "ass-exec.fish"
    end
  end

  test do
    assert_equal "ass-exec v1.2.3\n", shell_output("#{bin}/ass-exec --version")
  end
end
