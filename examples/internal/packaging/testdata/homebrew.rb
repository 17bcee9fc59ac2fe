# Installs and tests a formula as Homebrew would on a machine of this kind, as far as ours
# goes: with the downloads taken from a folder, compared with their sums. It knows
# what our formula uses, and nothing else: it is no Homebrew.
#
#   ruby homebrew.rb FORMULA FOLDER PREFIX
require "digest"
require "fileutils"
require "pathname"
require "tmpdir"

FOLDER = Pathname(ARGV[1]).expand_path
PREFIX = Pathname(ARGV[2]).expand_path

class Pathname
  def install(source)
    mkpath
    from, to = source.is_a?(Hash) ? source.first : [source, source]
    FileUtils.mv from, join(to)
  end
end

class Download
  def url(url) = @name = File.basename(url)
  def sha256(sum) = @sum = sum

  def fetch
    file = FOLDER/@name
    raise "#{@name}: another SHA-256" unless Digest::SHA256.file(file).hexdigest == @sum

    FileUtils.cp file, "."
    File.chmod 0644, @name
    return unless @name.end_with?(".tar.gz")

    system("tar", "xzf", @name, exception: true)
    File.delete(@name)
  end

  def stage
    Dir.mktmpdir { |dir| Dir.chdir(dir) { fetch; yield } }
  end
end

class Formula
  include FileUtils

  class << self
    attr_reader :download, :resources, :check

    def inherited(formula)
      super
      formula.instance_exec { @download, @resources = Download.new, {} }
    end

    %i[desc homepage version license].each { |name| define_method(name) { |*| } }
    def on_linux = yield
    def on_macos = nil
    def on_intel = RUBY_PLATFORM.start_with?("x86_64") && yield
    def on_arm = RUBY_PLATFORM.start_with?("aarch64") && yield
    def url(url) = @download.url(url)
    def sha256(sum) = @download.sha256(sum)
    def test(&block) = @check = block
    def resource(name, &block) = (@resources[name] = Download.new).instance_exec(&block)
  end

  def resource(name) = self.class.resources.fetch(name)
  def bin = PREFIX/"bin"
  def man1 = PREFIX/"share/man/man1"
  def man5 = PREFIX/"share/man/man5"
  def bash_completion = PREFIX/"etc/bash_completion.d"
  def zsh_completion = PREFIX/"share/zsh/site-functions"
  def fish_completion = PREFIX/"share/fish/vendor_completions.d"
  def shell_output(command) = `#{command}`
  def assert_equal(want, got) = want == got || raise("got #{got.inspect}, want #{want.inspect}")
end

load ARGV[0]
formula = ObjectSpace.each_object(Class).find { |c| c < Formula }
formula.download.stage { formula.new.install }
formula.new.instance_exec(&formula.check)
